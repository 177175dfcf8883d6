import { grantActive, partExtended, partPresent } from '#domain/events/grant-events.ts';
import type { GrantPart } from '#domain/grant.ts';
import type { TargetId } from '#domain/id.ts';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { Provisioned } from '../ports/connector.ts';
import { secretIdentity } from '../ports/sealed-identity.ts';
import type { ClaimedPart, Tx } from '../ports/store.ts';
import { takeAway } from '../take-away.ts';
import { openAttempt, putBack, whatWentWrong, type Attempt } from './attempt.ts';
import type { Reach } from './reach.ts';
import { earlierReading } from './shared-account.ts';

/** Trying again won't help: the plan itself is wrong. */
const HOPELESS: readonly RefusalCode[] = ['dangerous_scope', 'invalid_input', 'unsupported', 'not_found'];

/** How long a look at a target's clock counts. Clocks drift slowly, and the target's own expiry is one net of three. */
const CLOCK_SEEN_MS = 60_000;

/**
 * Makes one claimed part true on its target: the plan and what was there before are committed, the target is changed,
 * the target is read back, and only then the part counts as present. With the last part the grant is active, and the
 * clock of the requester's time has started at this attempt.
 */
export async function provisionPart(app: App, reach: Reach, claimed: ClaimedPart): Promise<void> {
  const { part } = claimed;
  try {
    const attempt = await planAttempt(app, claimed);
    if (!attempt) return;
    const stillMine = () => app.store.transaction((tx) => tx.parts.holds(part.id, part.fence, 'provision'));
    const made = await attempt.connector.provision(attempt.plan, stillMine);
    await app.store.transaction((tx) => settle(app, tx, attempt, made));
  } catch (error) {
    const { code } = whatWentWrong(error);
    if (HOPELESS.includes(code as RefusalCode)) await giveUp(app, part, error);
    else await putBack(app, reach, part, error);
  }
}

/** Commits what is about to be done. `null` when the grant has moved on and nothing is to be made. */
async function planAttempt(app: App, claimed: ClaimedPart): Promise<Attempt | null> {
  const first = await app.store.transaction(async (tx) => {
    const grant = await tx.grants.byId(claimed.part.grant);
    if (!grant || (grant.state !== 'activating' && grant.state !== 'active')) return null;
    // The requester's time is whole at each attempt; an extension carries its own deadline.
    const deadline = grant.state === 'active' && grant.deadline ? grant.deadline : new Date(tx.now.getTime() + grant.durationSeconds * 1000);
    const attempt = await openAttempt(app, tx, claimed, deadline);
    return { attempt, earlier: await earlierReading(tx, attempt), clockIsRight: await clockIsRight(app, tx, claimed.part.target) };
  });
  if (!first) return null;
  const { attempt } = first;
  const { part, plan, connector } = attempt;
  if (!first.clockIsRight) await refuseSkewedClock(app, attempt);
  const read = plan.prior ?? (await connector.prepare(plan));
  return await app.store.transaction(async (tx) => {
    const earlier = plan.prior === null ? (first.earlier ?? (await earlierReading(tx, attempt))) : null;
    const prior = earlier === null ? read : connector.baseline(read, earlier);
    const mine = await tx.parts.plan(part.id, part.fence, { prior, deadline: plan.deadline });
    return mine ? { ...attempt, plan: { ...plan, prior } } : null;
  });
}

/** Whether the target's clock was seen to be right a moment ago: then no grant waits for another sign-in to ask. */
async function clockIsRight(app: App, tx: Tx, target: TargetId): Promise<boolean> {
  const health = await tx.catalogue.health(target);
  if (!health?.checkedAt || health.unreachableSince || health.skewMs === null) return false;
  const age = tx.now.getTime() - health.checkedAt.getTime();
  return age >= 0 && age < CLOCK_SEEN_MS && Math.abs(health.skewMs) <= app.limits.clockSkewMs;
}

/** B06: a target whose clock is off would end its own net at the wrong time. */
async function refuseSkewedClock(app: App, { connector, plan }: Attempt): Promise<void> {
  const probe = await connector.probe(plan.target);
  await app.store.transaction((tx) =>
    tx.catalogue.setHealth(plan.target.id, {
      checkedAt: tx.now,
      problem: probe.problem,
      skewMs: probe.skewMs === null ? null : Math.round(probe.skewMs),
      version: probe.version,
      ...(probe.reachable ? { unreachableSince: null } : {}),
    }),
  );
  if (!probe.reachable) throw new Refusal('target_unreachable', probe.problem ?? 'the target does not answer');
  if (probe.skewMs !== null && Math.abs(probe.skewMs) > app.limits.clockSkewMs) {
    throw new Refusal('clock_skew', `the target's clock is ${Math.round(probe.skewMs / 1000)} s off; nothing new is granted until it is right`);
  }
}

async function settle(app: App, tx: Tx, { grant: before, part, plan }: Attempt, made: Provisioned): Promise<void> {
  const grant = await tx.grants.lock(before.id);
  // Taken away in the meantime: its removal is due, and takes this with it.
  if (!grant || (grant.state !== 'activating' && grant.state !== 'active')) return;
  const secret = made.secret === null ? null : app.secrets.seal(made.secret, secretIdentity(part.id));
  if (!(await tx.parts.present(part.id, part.fence, made.evidence, secret))) return;
  await tx.log((part.state === 'present' ? partExtended : partPresent)(grant, part, made.evidence));
  if (grant.state === 'active') return;
  const parts = await tx.parts.ofGrant(grant.id);
  if (!parts.every((other) => other.state === 'present')) return;
  // Never longer from now than was agreed, even when the clock went back since the attempt began.
  const latest = tx.now.getTime() + grant.durationSeconds * 1000;
  const deadline = new Date(Math.min(latest, ...parts.map((other) => other.deadline?.getTime() ?? plan.deadline.getTime())));
  if (deadline <= tx.now) {
    await takeAway(tx, [grant], 'activation_failed', 'system', null);
    return;
  }
  await tx.grants.update({ ...grant, state: 'active', activatedAt: tx.now, deadline });
  await tx.log(grantActive(grant, tx.now, deadline));
  await tx.notify('requests', grant.request);
  await tx.notify('work', 'advance');
}

async function giveUp(app: App, part: GrantPart, error: unknown): Promise<void> {
  const { code, message } = whatWentWrong(error);
  app.journal.warn('an activation is hopeless', { grant: part.grant, part: part.id, code, message });
  await app.store.transaction(async (tx) => {
    const grant = await tx.grants.lock(part.grant);
    // A worker that slept through its claim has no say about what others have made of it since.
    const mine = await tx.parts.retry(part.id, part.fence, tx.now, `${code}: ${message}`);
    if (grant && mine) await takeAway(tx, [grant], 'activation_failed', 'system', null);
  });
}
