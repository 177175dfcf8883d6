import { createHash } from 'node:crypto';
import { configurationApplied, policyPublished } from '#domain/events/administration-events.ts';
import { unpassableStage } from '#domain/approval-reach.ts';
import type { Json } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { PolicyPrincipal } from '../ports/policy.ts';
import type { Tx } from '../ports/store.ts';
import { bearerOfErasedName } from '../signin/erased-name.ts';
import { compareStates, readState, stateHash, wantedState, type Change } from './compare.ts';
import type { Desired } from './desired.ts';
import { peopleAfter } from './people-after.ts';
import { finding, readFiles, type ConfigurationFinding, type SourceFile } from './read-files.ts';
import { resolve, type Resolved } from './resolve.ts';
import { write } from './write.ts';

export interface ConfigurationPlan {
  readonly changes: readonly Change[];
  readonly findings: readonly ConfigurationFinding[];
  readonly base: string;
}

/** What applying these files would change. Changes nothing. @throws Refusal `forbidden` */
export function planConfiguration(app: App, actor: Actor, files: readonly SourceFile[]): Promise<ConfigurationPlan> {
  return app.store.transaction(async (tx) => {
    await demandAdministrator(tx, actor);
    return (await plan(app, tx, files)).plan;
  });
}

/**
 * Makes the files true, all or nothing, in one transaction. Applied again it changes nothing.
 * @throws Refusal `invalid_configuration` with the findings, `conflict` when the state has moved since `base`, `forbidden`
 */
export function applyConfiguration(app: App, actor: Actor, files: readonly SourceFile[], base: string | null): Promise<ConfigurationPlan> {
  return app.store.transaction(async (tx) => {
    await demandAdministrator(tx, actor);
    return await applyIn(app, tx, files, base, actor.id);
  });
}

/** The same without an actor, for the first start of a fresh installation. */
export async function applyIn(app: App, tx: Tx, files: readonly SourceFile[], base: string | null, by: Actor['id'] | 'system'): Promise<ConfigurationPlan> {
  await tx.catalogue.lockAll();
  const { plan: planned, resolved } = await plan(app, tx, files);
  const errors = planned.findings.filter((one) => one.severity === 'error');
  if (errors.length > 0) {
    const [first] = errors;
    throw new Refusal('invalid_configuration', first?.message ?? 'the files have mistakes', {
      ...(first?.file ? { field: `${first.file}:${first.line ?? 1}:${first.column ?? 1}` } : {}),
      facts: { findings: errors },
    });
  }
  if (base !== null && base !== planned.base) throw new Refusal('conflict', 'something was changed since the plan was made', { hint: 'Plan again: brevet plan' });
  if (planned.changes.length === 0) return planned;
  await write(app, tx, resolved, planned.changes, by);
  await tx.log(configurationApplied(await Promise.all(planned.changes.map((each) => told(tx, each))), by));
  if (planned.changes.some((change) => change.kind === 'policy')) {
    const sources = resolved.desired.policies;
    const version = ((await tx.policies.current())?.version ?? 0) + 1;
    await tx.policies.publish(version, sources, by === 'system' ? null : by, tx.now);
    await tx.log(policyPublished(version, createHash('sha256').update(JSON.stringify(sources)).digest('hex'), by));
  }
  return planned;
}

/** A person's name never stands in the log's open part, where it could not be erased. */
async function told(tx: Tx, { kind, name, change }: Change): Promise<Json> {
  const person = kind === 'person' ? await tx.principals.byName(name) : null;
  return { kind, name: person?.id ?? name, change };
}

async function plan(app: App, tx: Tx, files: readonly SourceFile[]): Promise<{ plan: ConfigurationPlan; resolved: Resolved }> {
  const { desired, findings } = readFiles(files);
  const standing = new Set((await tx.principals.all()).map((one) => one.name));
  const resolved = resolve(app, desired, standing);
  const state = await readState(tx);
  const changes = compareStates(state, wantedState(resolved));
  const people = await peopleAfter(tx, desired);
  const wider = [...(await erasedNames(app, tx, desired, standing)), ...stuckStages(resolved, people)];
  const policyFindings = desired.policies.length === 0 ? [] : app.policy.validate(desired.policies);
  return { plan: { changes, findings: [...findings, ...resolved.findings, ...wider, ...policyFindings], base: stateHash(state) }, resolved };
}

/** Names are given once (A07): said with its place here, and refused again when somebody is created. */
async function erasedNames(app: App, tx: Tx, desired: Desired, standing: ReadonlySet<string>): Promise<ConfigurationFinding[]> {
  const found: ConfigurationFinding[] = [];
  for (const kind of ['people', 'workloads'] as const) {
    for (const name of Object.keys(desired[kind])) {
      if (standing.has(name) || !(await bearerOfErasedName(app, tx, name))) continue;
      found.push(finding('name_of_erased', `the name "${name}" was somebody's who is erased, and is not given again`, desired.whereIs(kind, name)));
    }
  }
  return found;
}

/** A warning only: who is in the groups may be about to change. */
function stuckStages({ desired, entitlements }: Resolved, people: readonly PolicyPrincipal[]): ConfigurationFinding[] {
  return [...entitlements].flatMap(([name, { stages }]) => {
    const stuck = unpassableStage(stages, people, null);
    if (stuck === null) return [];
    const message = `${name}: the stage "${stuck}" can't be passed: too few different people are in its groups`;
    return [{ ...finding('stage_unpassable', message, desired.whereIs('entitlements', name, ['stages'])), severity: 'warning' as const }];
  });
}

async function demandAdministrator(tx: Tx, actor: Actor): Promise<void> {
  const known = await knowActor(tx, actor.id);
  if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators change the configuration');
}
