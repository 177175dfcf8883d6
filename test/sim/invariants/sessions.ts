import type { BrokerSession } from '../broker-session.ts';
import type { SimBroker } from '../broker.ts';
import type { World } from '../world.ts';

/** Invariant 1 for brokered access: a second after the deadline, and for what was taken back before, five. */
const DEADLINE_MS = 1_000 + 100;
const REVOKED_MS = 5_000;
/** A deadline that moved is news, and news takes as long as a broker may be cut off. */
const MOVED_MS = 60_000;
/** A renewal every 3.3 s asks policy again. */
const POLICY_MS = 5_000;

/** Sessions through which bytes go now. */
function* openSessions(world: World): Generator<{ session: BrokerSession; broker: SimBroker }> {
  for (const broker of world.carriers()) {
    if (broker.process.paused) continue;
    for (const session of broker.sessions.values()) if (session.open) yield { session, broker };
  }
}

export function sessionsEndInTime(world: World): string | null {
  const { scheduler: { now }, memory: { tables } } = world;
  for (const { session: { ticket }, broker } of openSessions(world)) {
    const grant = tables.grants.rows.get(ticket.grant);
    const excused = world.excused(broker.name);
    const deadline = grant?.deadline ? grant.deadline.getTime() - world.storeOffset : Infinity;
    // Its own clock and nothing else ends it then, unless the deadline moved under it.
    const moved = world.excused(`${broker.name} clock`);
    if (now - Math.max(deadline, moved, moved > now - MOVED_MS ? excused : 0) > DEADLINE_MS) return `${ticket.session} runs ${Math.round(now - deadline)} ms past its grant's deadline`;
    const over = grant?.state === 'ended' ? 0 : (world.due.get(ticket.grant) ?? (grant ? Infinity : (world.restoredAt ?? 0)));
    if (now - Math.max(over, excused, world.excused('everything')) > REVOKED_MS) return `${ticket.session} runs on, and its grant ${ticket.grant} is ${grant?.state ?? 'unknown'}`;
  }
  return null;
}

export function policyEndsSessions(world: World): string | null {
  const { now } = world.scheduler;
  for (const { session: { ticket }, broker } of openSessions(world)) {
    const since = world.denied.get(ticket.session);
    if (since !== undefined && now - Math.max(since, world.excused(broker.name, 'everything')) > POLICY_MS) return `${ticket.session} runs on ${Math.round(now - since)} ms after policy forbade it`;
  }
  return null;
}

/** Invariant 7: what runs is known to run. Only the broker knows that a session is over, or that it may have to be given up. */
export function noLiveSessionCountsAsEnded(world: World): string | null {
  const { now } = world.scheduler;
  for (const { session: { ticket, target, pid }, broker } of openSessions(world)) {
    const row = world.memory.tables.sessions.rows.get(ticket.session);
    const standing = target !== null && pid !== null && target.backends.has(pid);
    if (row?.state === 'ended' && standing && now > world.excused(broker.name, 'everything')) return `${ticket.session} runs, and the store holds it for ended (${row.endReason})`;
  }
  return null;
}

/** Invariant 8: nobody is let in whose recording has not begun. */
export function everySessionIsRecorded(world: World): string | null {
  if (world.restoredAt !== null) return null;
  for (const { session: { ticket } } of openSessions(world)) {
    if (!world.memory.tables.chunks.rows.has(`${ticket.session} 0`)) return `${ticket.session} runs without a recording`;
  }
  return null;
}
