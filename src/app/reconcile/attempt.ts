import type { Grant, GrantPart } from '#domain/grant.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { connectorFor, type App } from '../app.ts';
import type { Connector, PartPlan } from '../ports/connector.ts';
import type { ClaimedPart, TargetHealth, Tx } from '../ports/store.ts';
import { accountCredential, openTarget } from '../target-access.ts';
import type { Reach } from './reach.ts';

/** One attempt at one part: what a worker holds while it touches a target. */
export interface Attempt {
  readonly grant: Grant;
  readonly part: GrantPart;
  readonly connector: Connector;
  readonly plan: PartPlan;
}

/** Opens what an attempt needs. `deadline` is what the target itself will be told. */
export async function openAttempt(app: App, tx: Tx, { part }: ClaimedPart, deadline: Date): Promise<Attempt> {
  const grant = await tx.grants.byId(part.grant);
  if (!grant) throw new Refusal('internal', `part ${part.id} has no grant`);
  const { type, access } = await openTarget(app, tx, part.target);
  const connector = connectorFor(app, type);
  const plan: PartPlan = {
    grant: part.grant,
    part: part.id,
    target: access,
    kind: part.kind,
    scope: part.scope,
    objectName: part.objectName,
    account: part.account,
    accountCredential: part.kind === 'brokered_session' && part.account !== null ? await accountCredential(app, tx, part.target, part.account) : null,
    deadline,
    fence: part.fence,
    prior: part.prior,
  };
  return { grant, part, connector, plan };
}

/** What went wrong, for the operator and the grant's page: a refusal's own words, never a stranger's stack. */
export function whatWentWrong(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof Refusal) return { code: error.code, message: error.message };
  return { code: 'internal', message: error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 300) : 'an unknown failure' };
}

/** 1 s, 2 s, 4 s ... 60 s: only between attempts that reached the target and failed. Removals never stop. */
export function backoffMs(attempts: number): number {
  return Math.min(60_000, 1000 * 2 ** Math.min(attempts, 6));
}

/**
 * Puts a failed attempt back, with what it read, if it got so far. An unreachable target closes its lanes until a probe gets
 * through; every server knocks at once, since one of them may reach what this one does not.
 */
export async function putBack(app: App, reach: Reach, part: GrantPart, error: unknown, evidence?: JsonObject): Promise<void> {
  const { code, message } = whatWentWrong(error);
  const unreachable = code === 'target_unreachable';
  app.journal.warn('an attempt on a target failed', { grant: part.grant, part: part.id, target: part.target, fence: part.fence, code, message });
  // Before the part is free: it is for others now.
  if (unreachable) reach.lost(part.target);
  await app.store.transaction(async (tx) => {
    if (unreachable) {
      await tx.catalogue.setHealth(part.target, { checkedAt: tx.now, ...markOf(await tx.catalogue.health(part.target), tx.now), problem: message });
      await tx.notify('work', 'probe');
    }
    const wait = unreachable ? 0 : backoffMs(part.attempts);
    await tx.parts.retry(part.id, part.fence, new Date(tx.now.getTime() + wait), `${code}: ${message}`, evidence);
  });
}

/** That a target does not answer. A mark that stands is not written again: a server that reaches it may take it away at this moment. */
export const markOf = (health: TargetHealth | null, now: Date): Pick<Partial<TargetHealth>, 'unreachableSince'> => (health?.unreachableSince ? {} : { unreachableSince: now });
