import { isNode, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { Refusal } from '#domain/refusal.ts';
import { parseDuration } from '#domain/duration.ts';
import type { PolicyFinding, PolicyPrincipal, PolicyQuestion, PolicyResource } from '#app/ports/policy.ts';
import { POLICY_ACTIONS } from '#app/ports/policy.ts';
import type { Catalogue } from './catalogue.ts';
import { didYouMean } from '#domain/did-you-mean.ts';
import { finding } from './findings.ts';

/** The instant of a test that names none, a Monday at ten o'clock UTC: a test gives the same answer on every day. */
export const TEST_NOW = '2026-01-05T10:00:00Z';

/** A test file is written by people. Deeply nested YAML of a megabyte keeps the parser busy for seconds. */
const LONGEST_FILE = 131_072;
/** After this many mistakes of one file the rest is not worth reading. */
const MOST_FINDINGS = 20;

const Name = z.string().min(1).max(63);
const Principal = z.strictObject({
  kind: z.enum(['person', 'workload']).default('person'),
  groups: z.array(Name).default([]),
  owner: Name.nullable().default(null),
  administrator: z.boolean().default(false),
});
const Resource = z.strictObject({
  folder: Name.nullable().default(null),
  kinds: z.array(z.string()).default(['ephemeral_account']),
  targets: z.array(z.strictObject({ name: Name, type: z.string().default('postgres'), folder: Name.nullable().default(null) })).default([]),
});
const Facts = z.strictObject({
  now: z.iso.datetime({ offset: true }).optional(),
  duration: z.union([z.string(), z.number()]).optional(),
  startAt: z.iso.datetime({ offset: true }).optional(),
  reason: z.string().optional(),
  ticket: z.string().optional(),
  clientIp: z.string().optional(),
  authentication: z.strictObject({ method: z.string(), ageSeconds: z.int(), phishingResistant: z.boolean() }).optional(),
  onBehalfOf: Name.optional(),
  requester: Name.optional(),
});
const Case = z.strictObject({
  name: z.string().min(1).max(200),
  principal: Name,
  action: z.enum(POLICY_ACTIONS),
  entitlement: Name.optional(),
  context: Facts.default({}),
  expect: z.enum(['allow', 'deny']),
  /** Ids of policies that must be among those that decided. */
  by: z.array(z.string()).default([]),
});
const File = z.strictObject({
  principals: z.record(Name, Principal).default({}),
  entitlements: z.record(Name, Resource).default({}),
  cases: z.array(Case).min(1).max(2000),
});

export interface TestCase {
  readonly name: string;
  readonly file: string;
  readonly line: number | null;
  readonly question: PolicyQuestion;
  readonly expect: 'allow' | 'deny';
  readonly by: readonly string[];
}

/**
 * Reads a file of policy tests. Principals and entitlements are described in the file itself or taken from the catalogue; the
 * file comes first. A file with any finding has no cases: a test that is passed over looks like one that passes.
 */
export function readTestFile(
  file: string,
  text: string,
  catalogue: Catalogue | null,
): { readonly cases: readonly TestCase[]; readonly findings: readonly PolicyFinding[] } {
  if (text.length > LONGEST_FILE) {
    const message = `this file is longer than ${LONGEST_FILE} characters; split it`;
    return { cases: [], findings: [finding('error', 'test_invalid', message, { file, line: 1, column: 1 })] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, strict: true, uniqueKeys: true, prettyErrors: false });
  const findings: PolicyFinding[] = [];
  const report = (message: string, offset: number | null) => {
    const at = offset === null ? null : lines.linePos(offset);
    findings.push(finding('error', 'test_invalid', message, { file, line: at?.line ?? 1, column: at?.col ?? 1 }));
  };
  for (const error of document.errors.slice(0, MOST_FINDINGS)) report(error.message, error.pos[0]);
  if (findings.length > 0) return { cases: [], findings };
  const parsed = File.safeParse(plain(document, report));
  if (!parsed.success) {
    for (const issue of parsed.error.issues.slice(0, MOST_FINDINGS)) report(`${issue.path.join('.') || 'file'}: ${issue.message}`, offsetOf(document, issue.path));
    return { cases: [], findings };
  }
  const cases = parsed.data.cases.flatMap((one, index): TestCase[] => {
    const offset = offsetOf(document, ['cases', index]);
    try {
      const line = offset === null ? null : lines.linePos(offset).line;
      return [{ name: one.name, file, line, question: questionOf(one, parsed.data, catalogue), expect: one.expect, by: one.by }];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      report(`${one.name}: ${error.message}`, offset);
      return [];
    }
  });
  return { cases: findings.length > 0 ? [] : cases, findings };
}

/** @returns the document's plain value; aliases that multiply into a bomb are reported, not followed */
function plain(document: Document, report: (message: string, offset: null) => void): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    report(error instanceof Error ? error.message : 'unreadable', null);
    return null;
  }
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number | null {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return null;
}

function questionOf(one: z.infer<typeof Case>, file: z.infer<typeof File>, catalogue: Catalogue | null): PolicyQuestion {
  const { now = TEST_NOW, duration, ...facts } = one.context;
  return {
    action: one.action,
    principal: principalOf(one.principal, file, catalogue),
    resource: one.entitlement === undefined ? null : resourceOf(one.entitlement, file, catalogue),
    context: { now, ...present(facts), ...(duration === undefined ? {} : { durationSeconds: parseDuration(duration) }) },
  };
}

/** Drops keys whose value is `undefined`: absent and undefined are one and the same to whoever writes a test. */
function present<T extends object>(facts: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function principalOf(name: string, file: z.infer<typeof File>, catalogue: Catalogue | null): PolicyPrincipal {
  const own = Object.hasOwn(file.principals, name) ? file.principals[name] : undefined;
  if (own) return { ...own, id: `test:${name}`, name };
  const known = catalogue?.principals.find((one) => one.name === name);
  if (known) return known;
  const names = [...Object.keys(file.principals), ...(catalogue?.principals ?? []).map((one) => one.name)];
  throw new Refusal('invalid_configuration', `there is no principal "${name}".${didYouMean(name, names)}`);
}

function resourceOf(name: string, file: z.infer<typeof File>, catalogue: Catalogue | null): PolicyResource {
  const own = Object.hasOwn(file.entitlements, name) ? file.entitlements[name] : undefined;
  if (own) return { ...own, id: `test:${name}`, name };
  const known = catalogue?.entitlements.find((one) => one.name === name);
  if (known) return { id: known.id, name, folder: known.folder, kinds: known.kinds, targets: known.targets };
  const names = [...Object.keys(file.entitlements), ...(catalogue?.entitlements ?? []).map((one) => one.name)];
  throw new Refusal('invalid_configuration', `there is no entitlement "${name}".${didYouMean(name, names)}`);
}
