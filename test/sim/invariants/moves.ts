import { PENDING_LIMIT } from '../limits.ts';
import type { ConnectionToken } from '#app/ports/credential-table.ts';
import type { Grant, Session } from '#domain/grant.ts';
import { GRANT_TRANSITIONS, PART_TRANSITIONS, REQUEST_TRANSITIONS, SESSION_TRANSITIONS } from '#domain/lifecycle.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { PartRow } from '../store/memory.ts';
import type { Commit, World } from '../world.ts';

const TABLES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  requests: REQUEST_TRANSITIONS, grants: GRANT_TRANSITIONS, grant_parts: PART_TRANSITIONS, sessions: SESSION_TRANSITIONS,
};

/** Invariant 5: every change of state is one that the state tables know; nothing comes back. */
export function statesMoveForward(_: World, { changes }: Commit): string | null {
  const stateOf = (table: string, row: unknown) => (table === 'grant_parts' ? (row as PartRow).part.state : (row as { state: string }).state);
  for (const { table, key, before, after } of changes) {
    const transitions = TABLES[table];
    if (!transitions || before === null) continue;
    const [from, to] = [stateOf(table, before), stateOf(table, after)];
    if (from === to || reaches(transitions, from, to)) continue;
    return `${key} goes from ${from} to ${to}`;
  }
  return null;
}

/** One transaction may take several steps. */
function reaches(transitions: Readonly<Record<string, readonly string[]>>, from: string, to: string): boolean {
  return (transitions[from] ?? []).some((next) => next === to || reaches(transitions, next, to));
}

/** H02: nobody has more requests pending than the quota allows, however many they send at once. */
export function quotasHold({ memory: { tables } }: World, { changes }: Commit): string | null {
  for (const { table, before, after } of changes) {
    if (table !== 'requests' || before !== null) continue;
    const { principal } = after as AccessRequest;
    const pending = [...tables.requests.live].filter((id) => tables.requests.rows.get(id)?.principal === principal).length;
    if (pending > PENDING_LIMIT) return `${principal} has ${pending} requests pending`;
  }
  return null;
}

/** Invariants 5 and 7: a deadline moves only later, only while the grant lives, only by an approved extension, and never beyond the maximum. */
export function deadlinesMoveByDecision(world: World, { changes, began }: Commit): string | null {
  for (const { table, before, after } of changes) {
    if (table !== 'grants' || before === null) continue;
    const [was, is] = [before as Grant, after as Grant];
    if (is.state === 'active' && was.state === 'activating') {
      if (is.deadline && is.deadline.getTime() - began > is.durationSeconds * 1000) return `${is.id} becomes active for longer than was agreed`;
      continue;
    }
    if (was.deadline?.getTime() === is.deadline?.getTime()) continue;
    if (is.state !== 'active' || !was.deadline || !is.deadline || is.deadline < was.deadline) return `the deadline of ${is.id} moves while it is ${is.state}`;
    if (was.deadline.getTime() <= began) return `the deadline of ${is.id} moves after it has come`;
    const extension = changes.find((change) => change.table === 'requests' && (change.after as { extendsGrant: string | null; state: string }).extendsGrant === is.id && (change.after as { state: string }).state === 'approved');
    if (!extension) return `the deadline of ${is.id} moves without a decision`;
    if (is.deadline.getTime() - began > is.entitlement.maxDuration * 1000) return `${is.id} is extended beyond its maximum`;
  }
  return null;
}

/** Invariant 7: a session begins under an active grant whose deadline is ahead. */
export function sessionsLieWithinGrants(world: World, { changes }: Commit): string | null {
  for (const { table, before, after } of changes) {
    const issued = before !== null ? null : table === 'connection_tokens' ? (after as { token: ConnectionToken }).token : null;
    const deadline = issued && world.memory.tables.grants.rows.get(issued.grant)?.deadline;
    if (issued && (!deadline || issued.expiresAt > deadline)) return `a token of ${issued.grant} outlives it`;
    if (table !== 'sessions' || before !== null) continue;
    const session = after as Session;
    const grant = world.memory.tables.grants.rows.get(session.grant);
    if (grant?.state !== 'active' || !grant.deadline || session.openedAt >= grant.deadline) return `${session.id} begins at or after the end of ${session.grant} (${grant?.state ?? 'unknown'})`;
    if (grant.principal !== session.principal) return `${session.id} is not its grant's holder's`;
  }
  return null;
}

/** Invariant 8: while nobody's words can be sealed, nothing new is asked for or given. */
export function nothingNewWithoutKeys(world: World, { entries }: Commit): string | null {
  if (world.keysDownUntil <= world.scheduler.now) return null;
  const told = entries.find(({ type }) => type === 'request.submitted' || type === 'session.opened');
  return told ? `${told.type} ${told.id} while the key service is down` : null;
}
