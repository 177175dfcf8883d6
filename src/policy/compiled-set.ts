import { createHash } from 'node:crypto';
import type { PolicySet } from '#app/ports/policy.ts';
import type { Cedar } from './cedar.ts';
import { withCedar } from './cedar.ts';
import type { Condition } from './policy-tree.ts';
import { actionsOf, conditions, isSeparable, onlyPart } from './policy-tree.ts';
import type { CedarQuestion } from './question.ts';
import type { ReadPolicy } from './read-policies.ts';
import { readPolicies } from './read-policies.ts';
import { SCHEMA } from './schema.ts';

/** A policy set, parsed and held by Cedar under a slot of its memory. */
export interface CompiledSet {
  readonly policies: ReadonlyMap<string, ReadPolicy>;
  /** Why the set can't be used, or `null`. */
  readonly broken: string | null;
  readonly key: string;
}

/** A permit taken apart, so that Cedar can judge each part by itself. */
export interface TakenApart {
  readonly policy: ReadPolicy;
  readonly conditions: readonly Condition[];
}

/** How many sets stay parsed: the published one, those that open requests are pinned to, and one under test. */
const SLOTS = 8;
const SCHEMA_NAME = 'brevet';

interface Slot {
  readonly name: string;
  key: string | null;
  generation: number;
  usedAt: number;
  /** Actions for which the permits were also parsed in parts. */
  readonly apart: Map<string, readonly TakenApart[]>;
}

/*
 * Cedar has no call to drop what it parsed, only to overwrite it. So there is a fixed number of names, reused in turn, and
 * memory stays bounded however many sets are tried. Slots belong to the process, like Cedar's memory, and are found by the
 * content of a set: two engines, or two sets with the same version number, can't get into each other's way.
 */
const slots: Slot[] = Array.from({ length: SLOTS }, (_, i) => ({
  name: `set-${i}`,
  key: null,
  generation: 0,
  usedAt: 0,
  apart: new Map(),
}));
let uses = 0;
let schemaGeneration = 0;

/** Reads a set. Anything wrong with one policy makes the whole set `broken`: a lost forbid must not become a yes. */
export function compile(set: PolicySet): CompiledSet {
  const hash = createHash('sha256');
  for (const { file, text } of set.sources) hash.update(`${file.length}:${file}${text.length}:`).update(text);
  const { policies, findings } = readPolicies(set.sources);
  const error = findings.find(({ severity }) => severity === 'error');
  const broken = error ? `${error.file ?? 'policies'}:${error.line ?? 0}: ${error.message}` : null;
  return { policies: new Map(policies.map((policy) => [policy.id, policy])), broken, key: hash.digest('hex') };
}

/** Asks Cedar. The question is checked against the schema as well: one that does not fit gets a failure, not a guess. */
export function ask(set: CompiledSet, question: CedarQuestion): ReturnType<Cedar['statefulIsAuthorized']> {
  return withCedar((cedar, generation) => {
    const slot = slotFor(set, cedar, generation);
    const names = { preparsedPolicySetId: slot.name, preparsedSchemaName: SCHEMA_NAME };
    return cedar.statefulIsAuthorized({ ...question, ...names, validateRequest: true });
  });
}

/**
 * Asks Cedar about each part of the permits for the question's action. `holds` and `errs` know a part by the permit's place
 * in `permits` and `principal`, `resource`, or the number of the condition.
 */
export function askParts(set: CompiledSet, question: CedarQuestion) {
  return withCedar((cedar, generation) => {
    const slot = slotFor(set, cedar, generation);
    const action = (question.action as { id: string }).id;
    const name = `${slot.name}/${action}`;
    const permits = slot.apart.get(action) ?? takeApart(set, action, name, cedar);
    slot.apart.set(action, permits);
    const answer = cedar.statefulIsAuthorized({ ...question, preparsedPolicySetId: name, validateRequest: false });
    const found = answer.type === 'success' ? answer.response.diagnostics : { reason: [], errors: [] };
    return { permits, holds: new Set(found.reason), errs: new Set(found.errors.map(({ policyId }) => policyId)) };
  });
}

function takeApart(set: CompiledSet, action: string, name: string, cedar: Cedar): readonly TakenApart[] {
  const permits = [...set.policies.values()]
    .filter(({ json }) => json.effect === 'permit' && (actionsOf(json)?.includes(action) ?? true))
    .map((policy) => ({ policy, conditions: conditions(policy.json) }));
  const parts = permits.flatMap(({ policy: { json }, conditions: list }, i) => [
    [`${i}:principal`, onlyPart({ principal: json.principal })] as const,
    [`${i}:resource`, onlyPart({ resource: json.resource })] as const,
    ...list.flatMap((condition, c) =>
      isSeparable(condition) ? [[`${i}:${c}`, onlyPart({ conditions: [condition] })] as const] : [],
    ),
  ]);
  const answer = cedar.preparsePolicySet(name, { staticPolicies: Object.fromEntries(parts) });
  return answer.type === 'success' ? permits : [];
}

function slotFor(set: CompiledSet, cedar: Cedar, generation: number): Slot {
  if (schemaGeneration !== generation) {
    const answer = cedar.preparseSchema(SCHEMA_NAME, SCHEMA);
    if (answer.type === 'failure') throw new Error(`the policy schema is wrong: ${answer.errors[0]?.message}`);
    schemaGeneration = generation;
  }
  uses += 1;
  const live = slots.find((slot) => slot.key === set.key && slot.generation === generation);
  if (live) {
    live.usedAt = uses;
    return live;
  }
  const slot = slots.reduce((oldest, other) => (other.usedAt < oldest.usedAt ? other : oldest));
  slot.key = null;
  slot.apart.clear();
  const staticPolicies = Object.fromEntries([...set.policies.values()].map(({ id, statement }) => [id, statement.text]));
  const answer = cedar.preparsePolicySet(slot.name, { staticPolicies });
  if (answer.type === 'failure') throw new Error(`the policies could not be parsed again: ${answer.errors[0]?.message}`);
  Object.assign(slot, { key: set.key, generation, usedAt: uses });
  return slot;
}
