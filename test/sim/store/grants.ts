import type { Awaiting, GrantFilter, GrantTable, Tx } from '#app/ports/store.ts';
import type { Grant, GrantPart } from '#domain/grant.ts';
import type { GrantId } from '#domain/id.ts';
import type { EndReason, SessionEndReason } from '#domain/lifecycle.ts';
import { byInstant, byText, isConcerned, least, newestFirst } from './ordering.ts';
import type { Transaction } from './transaction.ts';

export function grantTable(tx: Transaction, notify: Tx['notify']): GrantTable {
  const { grants } = tx.tables;
  const starting = (now: Date) => (row: Grant) => row.state === 'scheduled' && row.startAt <= now;
  const due = (now: Date) => (row: Grant) => row.state === 'active' && row.deadline !== null && row.deadline <= now;
  const stale = (now: Date) => (row: Grant) => row.state === 'activating' && row.activateBy <= now;
  const late = (before: Date, now: Date) => (row: Grant) => row.state === 'revoking' && row.overdueAt === null && row.revokeDueAt !== null
    && (row.revokeDueAt < before || row.revokeDueAt.getTime() > 2 * now.getTime() - before.getTime());
  const lockOldest = (where: (row: Grant) => boolean, order: (row: Grant) => Date | null, limit: number, except: readonly GrantId[] = []) =>
    skipLocked(tx, tx.live(grants).filter((row) => where(row) && !except.includes(row.id)).sort(byInstant(order)), where, limit);
  return {
    insert: (grant) => tx.run('grants.insert', () => tx.insert(grants, grant.id, grant)),
    byId: (id) => tx.run('grants.byId', () => tx.get(grants, id)),
    byRequest: (id) => tx.run('grants.byRequest', () => tx.all(grants).find((row) => row.request === id) ?? null),
    withIds: (ids) => tx.run('grants.withIds', () => tx.all(grants).filter((row) => ids.includes(row.id))),
    ofRequests: (ids) => tx.run('grants.ofRequests', () => tx.all(grants).filter((row) => ids.includes(row.request))),
    lock: (id) => tx.run('grants.lock', async () => {
      await tx.lock(grants, id);
      return tx.get(grants, id);
    }),
    update: (grant) => tx.run('grants.update', async () => {
      await tx.update(grants, [tx.get(grants, grant.id)].filter((row) => row !== null), (row) => row.id, () => true, () => grant);
      if (grant.state === 'ended') await settleParts(tx, [grant.id]);
    }),
    list: (filter, page) => tx.run('grants.list', () => newestFirst(tx.all(grants).filter((row) => matches(tx, row, filter)), page)),
    lockLive: (of) => tx.run('grants.lockLive', () => lockLive(tx, of)),
    lockStarting: (now, ...rest) => tx.run('grants.lockStarting', () => lockOldest(starting(now), (row) => row.startAt, ...rest)),
    lockDue: (now, ...rest) => tx.run('grants.lockDue', () => lockOldest(due(now), (row) => row.deadline, ...rest)),
    lockStale: (now, ...rest) => tx.run('grants.lockStale', () => lockOldest(stale(now), (row) => row.activateBy, ...rest)),
    lockOverdue: (before, now, ...rest) => tx.run('grants.lockOverdue', () => lockOldest(late(before, now), (row) => row.revokeDueAt, ...rest)),
    lockFinished: (limit, except = []) => tx.run('grants.lockFinished', () => {
      const finished = tx.live(grants).filter((row) => row.state === 'revoking' && !except.includes(row.id) && isFinished(tx, row)).sort(byText((row) => row.id)).slice(0, limit);
      return skipLocked(tx, finished, (row) => row.state === 'revoking', limit);
    }),
    revokeAll: (ids, reason, at) => revokeAll(tx, notify, ids, reason, at),
    endAll: (ids, at) => tx.run('grants.endAll', async () => {
      await tx.update(grants, tx.live(grants), (row) => row.id, (row) => ids.includes(row.id) && row.state === 'revoking', (row) => ({ ...row, state: 'ended' as const, endedAt: at }));
      await settleParts(tx, ids);
    }),
    markOverdue: (ids, at) => tx.run('grants.markOverdue', async () => {
      await tx.update(grants, tx.live(grants), (row) => row.id, (row) => ids.includes(row.id) && row.state === 'revoking', (row) => ({ ...row, overdueAt: at }));
    }),
    awaiting: (now, overdueBefore) => tx.run('grants.awaiting', () => {
      const live = tx.live(grants);
      const found: Record<Awaiting, boolean> = {
        due: live.some(due(now)),
        lost: tx.live(tx.tables.sessions).some((row) => row.state !== 'ended' && row.leaseUntil < now),
        finished: tx.live(tx.tables.parts).some(({ part, settled }) => part.state === 'absent' && !settled),
        overdue: live.some(late(overdueBefore, now)),
        stale: live.some(stale(now)),
        starting: live.some(starting(now)),
        expired: tx.live(tx.tables.requests).some((row) => row.state === 'pending' && row.expiresAt <= now),
      };
      return (Object.keys(found) as Awaiting[]).filter((what) => found[what]);
    }),
    nextInstant: (until) => tx.run('grants.nextInstant', () => nextInstant(tx, until)),
    countLive: (principal) => tx.run('grants.countLive', () => tx.live(grants).filter((row) => row.principal === principal && row.state !== 'ended').length),
  };
}

function matches(tx: Transaction, row: Grant, filter: GrantFilter): boolean {
  return (filter.principal === undefined || row.principal === filter.principal)
    && isConcerned(row, filter.concerning)
    && (filter.reviewedBy === undefined || row.entitlement.stages.some(({ groups }) => groups.some((group) => filter.reviewedBy?.includes(group))))
    && (filter.target === undefined || tx.all(tx.tables.parts).some(({ part }) => part.grant === row.id && part.target === filter.target))
    && (filter.entitlement === undefined || row.entitlementId === filter.entitlement)
    && (filter.state === undefined || row.state === filter.state)
    && (filter.live === undefined || filter.live === (row.state !== 'ended'))
    && (filter.overdue === undefined || filter.overdue === (row.overdueAt !== null && row.state !== 'ended'));
}

/** `for no key update skip locked`, with the condition looked at again under the lock. */
function skipLocked(tx: Transaction, rows: readonly Grant[], where: (row: Grant) => boolean, limit: number): Grant[] {
  const held: Grant[] = [];
  for (const { id } of rows) {
    if (held.length === limit) break;
    if (!tx.tryLock(tx.tables.grants, id)) continue;
    const row = tx.get(tx.tables.grants, id);
    if (row && where(row)) held.push(row);
  }
  return held;
}

async function lockLive(tx: Transaction, of: Parameters<GrantTable['lockLive']>[0]): Promise<Grant[]> {
  const { grants, parts } = tx.tables;
  const where = (row: Grant) => {
    if (row.state === 'ended') return false;
    if ('principal' in of) return [of.principal].flat().some((id) => id === row.principal || id === row.onBehalfOf);
    if ('entitlement' in of) return row.entitlementId === of.entitlement;
    return tx.live(parts).some(({ part }) => part.grant === row.id && part.state !== 'absent' && part.target === of.target);
  };
  return await tx.update(grants, tx.live(grants).sort(byText((row) => row.id)), (row) => row.id, where, (row) => row);
}

function isFinished(tx: Transaction, { id }: Grant): boolean {
  const parts = tx.live(tx.tables.parts).filter(({ part }) => part.grant === id);
  return parts.some(({ part, settled }) => part.state === 'absent' && !settled)
    && parts.every(({ part }) => part.state === 'absent')
    && !tx.live(tx.tables.sessions).some((session) => session.grant === id && session.state !== 'ended');
}

const TELLS_SESSIONS: { readonly [Reason in EndReason]: SessionEndReason } = {
  expired: 'deadline', completed: 'grant_ended', revoked: 'grant_ended', activation_failed: 'grant_ended', identity_disabled: 'identity_disabled',
  target_retired: 'grant_ended', entitlement_retired: 'grant_ended', policy_changed: 'policy_denied',
};

/** Four statements, as in src/store/grant-table.ts: the world may change between them. */
async function revokeAll(tx: Transaction, notify: Tx['notify'], ids: readonly string[], reason: EndReason, at: Date): Promise<readonly GrantPart[]> {
  const { grants, parts, sessions } = tx.tables;
  const MAY_END = ['scheduled', 'activating', 'active'];
  const revoked = await tx.run('grants.revokeAll', () => tx.update(grants, tx.live(grants), (row) => row.id,
    (row) => ids.includes(row.id) && MAY_END.includes(row.state), (row) => ({ ...row, state: 'revoking' as const, endReason: reason, revokeDueAt: at })));
  if (revoked.length === 0) return [];
  const of = revoked.map(({ id }) => id);
  const untouched = await tx.run('grants.revokeAll parts untouched', () => tx.update(parts, tx.live(parts), (row) => row.part.id,
    ({ part }) => of.includes(part.grant) && part.state === 'planned' && part.fence === 0,
    (row) => ({ ...row, part: { ...row.part, state: 'absent' as const, evidence: { untouched: true }, work: null, dueAt: null } })));
  await tx.run('grants.revokeAll parts', () => tx.update(parts, tx.live(parts), (row) => row.part.id,
    ({ part }) => of.includes(part.grant) && part.state !== 'absent',
    (row) => ({ ...row, claimedUntil: null, part: { ...row.part, work: 'withdraw' as const, dueAt: at, attempts: 0, lastError: reason === 'activation_failed' ? row.part.lastError : null } })));
  const told = await tx.run('grants.revokeAll sessions', () => tx.update(sessions, tx.live(sessions), (row) => row.id,
    (row) => of.includes(row.grant) && row.state !== 'ended' && row.cutReason === null, (row) => ({ ...row, cutReason: TELLS_SESSIONS[reason] })));
  await notify('work');
  if (told.length > 0) await notify('sessions');
  return untouched.map((row) => row.part);
}

async function settleParts(tx: Transaction, ids: readonly string[]): Promise<void> {
  const { parts, grants } = tx.tables;
  await tx.update(parts, tx.live(parts), (row) => row.part.id,
    ({ part, settled }) => ids.includes(part.grant) && !settled && part.state === 'absent' && tx.get(grants, part.grant)?.state === 'ended',
    (row) => ({ ...row, settled: true }));
}

function nextInstant(tx: Transaction, until: Date): Date | null {
  const instants = tx.live(tx.tables.grants).map((row) => (row.state === 'scheduled' ? row.startAt : row.state === 'active' ? row.deadline : row.state === 'activating' ? row.activateBy : null));
  const expiries = tx.live(tx.tables.requests).map((row) => (row.state === 'pending' ? row.expiresAt : null));
  return least([...instants, ...expiries].filter((instant) => instant !== null && instant <= until));
}
