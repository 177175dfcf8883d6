import { grantActivating, grantEnded, grantOverdue } from '#domain/events/grant-events.ts';
import { requestExpired } from '#domain/events/request-events.ts';
import { sessionEnded } from '#domain/events/session-events.ts';
import { OVERDUE_AFTER, type Grant } from '#domain/grant.ts';
import { Refusal } from '#domain/refusal.ts';
import { isDisabled, knowPrincipal, policyPrincipal } from '../actor.ts';
import type { App } from '../app.ts';
import { currentPolicies, policyResource } from '../ask-policy.ts';
import type { Awaiting, Tx } from '../ports/store.ts';
import { takeAway } from '../take-away.ts';

/** Rows per transaction: small enough that no lock is held long, large enough for 100,000 deadlines in one second. */
const BATCH = 500;

/**
 * Moves everything whose time has come, looking only at what stands in the store: any node may do it, at any moment,
 * again after any crash. Removals come first. Answers how much moved; call again until nothing does.
 * `dueStuck` is called when the end of what is due could not be written.
 */
export async function advance(app: App, dueStuck: () => void = () => undefined): Promise<number> {
  let moved = 0;
  const awaiting = await app.store.transaction((tx) => tx.grants.awaiting(tx.now, overdueBefore(tx)));
  for (const [what, step] of STEPS) {
    if (!awaiting.includes(what)) continue;
    try {
      moved += await app.store.transaction((tx) => step(app, tx));
    } catch (error) {
      if (what === 'due') dueStuck();
      // Without the store nothing moves; but what only one step stumbles over must not hold up the others.
      if (error instanceof Refusal && error.code === 'unavailable') throw error;
      app.journal.error('a step of the reconciler failed', { step: step.name, message: String(error).slice(0, 300) });
    }
  }
  return moved;
}

/** In this order, each in a transaction of its own. */
const STEPS: readonly (readonly [Awaiting, (app: App, tx: Tx) => Promise<number>])[] = [
  ['due', endDue], ['lost', endLostSessions], ['finished', finishRemoved], ['overdue', markOverdue], ['stale', giveUpStale],
  ['starting', startGrants], ['expired', expireRequests],
];

/** The deadline itself. `lockDue` uses `<=`: at the deadline the access is over. */
async function endDue(_app: App, tx: Tx): Promise<number> {
  return await takeAway(tx, await tx.grants.lockDue(tx.now, BATCH), 'expired', 'system', null);
}

async function giveUpStale(_app: App, tx: Tx): Promise<number> {
  return await takeAway(tx, await tx.grants.lockStale(tx.now, BATCH), 'activation_failed', 'system', null);
}

/** Sessions whose broker has not been heard of: it died, and took its connections with it. */
async function endLostSessions(_app: App, tx: Tx): Promise<number> {
  const lost = await tx.sessions.lockLost(tx.now, BATCH);
  for (const { id, cutReason, statements, bytesIn, bytesOut } of lost) {
    const ended = await tx.sessions.end(id, { at: tx.now, reason: cutReason ?? 'broker_lost', statements, bytesIn, bytesOut });
    if (ended) await tx.log(sessionEnded(ended));
  }
  return lost.length;
}

/** Every part absent, read back, and no session left: now, and only now, a grant has ended. */
async function finishRemoved(_app: App, tx: Tx): Promise<number> {
  const finished = await tx.grants.lockFinished(BATCH);
  if (finished.length === 0) return 0;
  await tx.grants.endAll(finished.map((grant) => grant.id), tx.now);
  for (const grant of finished) await tx.log(grantEnded(grant, tx.now));
  await tx.notify('requests');
  return finished.length;
}

const overdueBefore = (tx: Tx) => new Date(tx.now.getTime() - OVERDUE_AFTER * 1000);

async function markOverdue(app: App, tx: Tx): Promise<number> {
  const overdue = await tx.grants.lockOverdue(overdueBefore(tx), BATCH);
  for (const grant of overdue) {
    await tx.grants.update({ ...grant, overdueAt: tx.now });
    await tx.log(grantOverdue(grant));
    app.journal.error('a removal is overdue', { grant: grant.id, dueAt: grant.revokeDueAt?.toISOString() });
  }
  return overdue.length;
}

async function startGrants(app: App, tx: Tx): Promise<number> {
  const starting = await tx.grants.lockStarting(tx.now, BATCH);
  for (const grant of starting) {
    if (!(await mayActivate(app, tx, grant))) {
      await takeAway(tx, [grant], 'policy_changed', 'system', null);
      continue;
    }
    await tx.grants.update({ ...grant, state: 'activating' });
    await tx.log(grantActivating(grant));
    for (const part of await tx.parts.ofGrant(grant.id)) await tx.parts.due(part.id, 'provision', tx.now);
  }
  if (starting.length > 0) await tx.notify('work');
  return starting.length;
}

/** Nothing is inherited from the approval: identity, entitlement and policy are asked again at the start (I7). */
async function mayActivate(app: App, tx: Tx, grant: Grant): Promise<boolean> {
  const holder = await knowPrincipal(tx, grant.principal);
  const entitlement = await tx.catalogue.entitlement(grant.entitlementId);
  if (!holder || isDisabled(holder) || !entitlement || entitlement.retiredAt !== null) return false;
  // The entitlement may have moved on to another target since it was asked for; a retired one is touched no more.
  const targets = await Promise.all(grant.entitlement.parts.map((part) => tx.catalogue.target(part.target)));
  if (targets.some((target) => target === null || target.retiredAt !== null)) return false;
  const verdict = app.policy.decide(await currentPolicies(tx), {
    action: 'activate',
    principal: policyPrincipal(holder),
    resource: await policyResource(tx, grant.entitlement),
    context: { now: tx.now.toISOString(), durationSeconds: grant.durationSeconds },
  });
  return verdict.allowed;
}

async function expireRequests(_app: App, tx: Tx): Promise<number> {
  const expired = await tx.requests.lockExpired(tx.now, BATCH);
  for (const request of expired) {
    await tx.requests.decide(request.id, 'expired', tx.now, null);
    await tx.log(requestExpired(request));
    await tx.notify('requests', request.id);
  }
  return expired.length;
}
