import type { Awaiting, GrantFilter, GrantTable, Page, Tx } from '#app/ports/store.ts';
import type { Grant, GrantPart } from '#domain/grant.ts';
import type { GrantId, TargetId } from '#domain/id.ts';
import type { EndReason, SessionEndReason } from '#domain/lifecycle.ts';
import { GRANT, grantOf, type GrantRow, PART, type PartRow } from './rows.ts';
import { Conditions, pageConcerning, type Sql } from './sql.ts';

export function grantTable(sql: Sql, notify: Tx['notify']): GrantTable {
  const one = async (text: string, values: readonly unknown[]) => {
    const row = await sql.row<GrantRow>(text, values);
    return row && grantOf(row);
  };
  /** The oldest of a kind, passing over what somebody else decides on just now. Each has an index of its own. */
  const lockOldest = async (where: string, order: string, at: Date, limit: number, except: readonly GrantId[] = [], ...more: readonly Date[]) =>
    (await sql.rows<GrantRow>(
      `select ${GRANT} from brevet.grants where ${where} and id <> all($3) order by ${order} limit $1 for no key update skip locked`,
      [limit, at, except, ...more])).map(grantOf);
  return {
    insert: (grant) => insert(sql, grant),
    byId: (id) => one(`select ${GRANT} from brevet.grants where id = $1`, [id]),
    byRequest: (id) => one(`select ${GRANT} from brevet.grants where request_id = $1`, [id]),
    withIds: async (ids) => (await sql.rows<GrantRow>(`select ${GRANT} from brevet.grants where id = any($1)`, [ids])).map(grantOf),
    ofRequests: async (ids) => (await sql.rows<GrantRow>(`select ${GRANT} from brevet.grants where request_id = any($1)`, [ids])).map(grantOf),
    lock: (id) => one(`select ${GRANT} from brevet.grants where id = $1 for no key update`, [id]),
    update: (grant) => update(sql, grant),
    list: (filter, page) => list(sql, filter, page),
    lockLive: (of) => lockLive(sql, of),
    lockStarting: (now, ...rest) => lockOldest(`state = 'scheduled' and start_at <= $2`, 'start_at', now, ...rest),
    lockDue: (now, ...rest) => lockOldest(`state = 'active' and deadline <= $2`, 'deadline', now, ...rest),
    lockStale: (now, ...rest) => lockOldest(`state = 'activating' and activate_by <= $2`, 'activate_by', now, ...rest),
    lockOverdue: (before, now, limit, except) => lockOldest(`state = 'revoking' and overdue_at is null and ${LATE('$2', '$4')}`, 'revoke_due_at', before, limit, except, now),
    lockFinished: (limit, except) => lockFinished(sql, limit, except),
    revokeAll: (ids, reason, at) => revokeAll(sql, notify, ids, reason, at),
    endAll: async (ids, at) => {
      await sql.run(`update brevet.grants set state = 'ended', ended_at = $2 where id = any($1) and state = 'revoking'`, [ids, at]);
      await settleParts(sql, ids);
    },
    markOverdue: (ids, at) => sql.run(`update brevet.grants set overdue_at = $2 where id = any($1) and state = 'revoking'`, [ids, at]).then(() => undefined),
    awaiting: (now, overdueBefore) => awaiting(sql, now, overdueBefore),
    nextInstant: (until) => nextInstant(sql, until),
    countLive: async (principal) => (await sql.row<{ n: number }>(
      `select count(*)::integer as n from brevet.grants where principal_id = $1 and state <> 'ended'`, [principal]))?.n ?? 0,
  };
}

/** A removal is due when it is asked for: one that is due in the future was asked for before the clock went back, and is late by as much. */
const LATE = (before: string, now: string) => `(revoke_due_at < ${before} or revoke_due_at > ${now}::timestamptz + (${now}::timestamptz - ${before}::timestamptz))`;

async function insert(sql: Sql, g: Grant): Promise<void> {
  await sql.run(
    `insert into brevet.grants (id, request_id, principal_id, on_behalf_of_id, entitlement_id, entitlement, state, duration_seconds,
       created_at, start_at, activate_by, activated_at, deadline, revoke_due_at, end_reason, ended_at, overdue_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    [g.id, g.request, g.principal, g.onBehalfOf, g.entitlementId, JSON.stringify(g.entitlement), g.state, g.durationSeconds,
      g.createdAt, g.startAt, g.activateBy, g.activatedAt, g.deadline, g.revokeDueAt, g.endReason, g.endedAt, g.overdueAt]);
}

async function update(sql: Sql, g: Grant): Promise<void> {
  await sql.run(
    `update brevet.grants set state = $2, duration_seconds = $3, start_at = $4, activate_by = $5, activated_at = $6, deadline = $7,
       revoke_due_at = $8, end_reason = $9, ended_at = $10, overdue_at = $11
      where id = $1`,
    [g.id, g.state, g.durationSeconds, g.startAt, g.activateBy, g.activatedAt, g.deadline, g.revokeDueAt, g.endReason, g.endedAt, g.overdueAt]);
  if (g.state === 'ended') await settleParts(sql, [g.id]);
}

/** Its grant knows of it now. Nothing becomes absent here: that has an entry of its own, by whoever found it so. */
async function settleParts(sql: Sql, ids: readonly GrantId[]): Promise<void> {
  await sql.run(
    `update brevet.grant_parts set settled = true where grant_id = any($1) and not settled and state = 'absent'
        and exists (select from brevet.grants g where g.id = grant_id and g.state = 'ended')`, [ids]);
}

/**
 * What has ended is almost everything, so each way in has an index of its own over what has not. Of a target, its parts lead
 * the way, newest first; of a principal on a target, the principal's grants do: the shorter history, as a rule. Left to choose,
 * PostgreSQL would read a target's whole history, or everybody's, whenever its statistics are old.
 */
async function list(sql: Sql, filter: GrantFilter, page: Page): Promise<readonly Grant[]> {
  const unended = filter.live === true || filter.overdue === true || (filter.state !== undefined && filter.state !== 'ended');
  const where = new Conditions()
    .add('g.principal_id = $', filter.principal)
    .add(`exists (select from jsonb_array_elements(g.entitlement->'stages') stage where stage->'groups' ?| $)`, filter.reviewedBy)
    .add('g.entitlement_id = $', filter.entitlement)
    .add('g.state = $', filter.state)
    .when(unended, `g.state <> 'ended'`)
    .when(filter.live === false, `g.state = 'ended'`)
    .when(filter.overdue === true, 'g.overdue_at is not null')
    .when(filter.overdue === false, `(g.overdue_at is null or g.state = 'ended')`);
  if (filter.target !== undefined && filter.principal === undefined && filter.concerning === undefined) return newestOnTarget(sql, where, filter.target, unended, page);
  where.add('(select count(*) from brevet.grant_parts p where p.grant_id = g.id and p.target_id = $) > 0', filter.target).add('g.id < $', page.before ?? undefined);
  const limit = where.parameter(page.limit);
  const rows = await sql.rows<GrantRow>(filter.concerning === undefined
    ? `select ${GRANT} from brevet.grants g where ${where} order by g.id desc limit ${limit}`
    : `select ${GRANT} from brevet.grants g where g.id in (${pageConcerning('brevet.grants g', filter.concerning, where, limit)}) order by g.id desc`, where.values);
  return rows.map(grantOf);
}

/**
 * Hops through the index from one grant to the one before it, and stops when the page is full: the rows of a recursion come
 * as they are asked for.
 */
async function newestOnTarget(sql: Sql, where: Conditions, target: TargetId, unended: boolean, { before, limit }: Page): Promise<readonly Grant[]> {
  const parts = `p.target_id = ${where.parameter(target)}${unended ? ' and not p.settled' : ''}`;
  const from = before === null ? '' : `and p.grant_id < ${where.parameter(before)}`;
  const rows = await sql.rows<GrantRow>(
    `with recursive hops as (
       (select p.grant_id as id from brevet.grant_parts p where ${parts} ${from} order by p.grant_id desc limit 1)
       union all
       select (select p.grant_id from brevet.grant_parts p where ${parts} and p.grant_id < hops.id order by p.grant_id desc limit 1)
         from hops where hops.id is not null
     ), page as (
       select g.* from hops cross join lateral (select ${GRANT} from brevet.grants g where g.id = hops.id and ${where} offset 0) g limit ${where.parameter(limit)}
     )
     select * from page order by id desc`, where.values);
  return rows.map(grantOf);
}

async function lockLive(sql: Sql, of: Parameters<GrantTable['lockLive']>[0]): Promise<readonly Grant[]> {
  const where = new Conditions();
  if ('principal' in of) {
    const them = where.parameter([of.principal].flat());
    where.when(true, `id = any(array(select id from brevet.grants where principal_id = any(${them}) and state <> 'ended'
      union select id from brevet.grants where on_behalf_of_id = any(${them}) and state <> 'ended'))`);
  } else if ('target' in of) where.add(`id = any(array(select grant_id from brevet.grant_parts where state <> 'absent' and target_id = $))`, of.target);
  else where.add('entitlement_id = $', of.entitlement);
  const rows = await sql.rows<GrantRow>(
    `select ${GRANT} from brevet.grants where state <> 'ended' and ${where} order by id for no key update`, where.values);
  return rows.map(grantOf);
}

/**
 * Starts from parts that are absent and not settled, not from grants that are revoking: on a target that is down there
 * may be many of those for days. The conditions are scalar subqueries, which stay a look at an index for each candidate:
 * as joins, PostgreSQL merges with the index over all grants there ever were.
 */
async function lockFinished(sql: Sql, limit: number, except: readonly GrantId[] = []): Promise<readonly Grant[]> {
  const rows = await sql.rows<GrantRow>(
    `with finished as materialized (
       select u.id from (select distinct grant_id as id from brevet.grant_parts where state = 'absent' and not settled and grant_id <> all($2)) u
        where (select g.state from brevet.grants g where g.id = u.id) = 'revoking'
          and (select count(*) from brevet.grant_parts p where p.grant_id = u.id and p.state <> 'absent') = 0
          and (select count(*) from brevet.sessions s where s.grant_id = u.id and s.state <> 'ended') = 0
        order by u.id limit $1)
     select ${GRANT} from brevet.grants where id in (select id from finished) and state = 'revoking'
      order by id for no key update skip locked`, [limit, except]);
  return rows.map(grantOf);
}

const TELLS_SESSIONS: { readonly [Reason in EndReason]: SessionEndReason } = {
  expired: 'deadline',
  completed: 'grant_ended',
  revoked: 'grant_ended',
  activation_failed: 'grant_ended',
  identity_disabled: 'identity_disabled',
  target_retired: 'grant_ended',
  entitlement_retired: 'grant_ended',
  policy_changed: 'policy_denied',
};

/**
 * What nobody ever claimed was never touched: it is absent as it stands, and needs no target to answer. For the rest, a
 * worker that is provisioning just now loses: the next claim raises the fence above its own.
 */
async function revokeAll(sql: Sql, notify: Tx['notify'], ids: readonly GrantId[], reason: EndReason, at: Date): Promise<readonly GrantPart[]> {
  const revoked = await sql.rows<{ id: GrantId }>(
    `update brevet.grants set state = 'revoking', end_reason = $2, revoke_due_at = $3
      where id = any($1) and state in ('scheduled', 'activating', 'active') returning id`, [ids, reason, at]);
  if (revoked.length === 0) return [];
  const grants = revoked.map(({ id }) => id);
  const untouched = await sql.rows<PartRow>(
    `update brevet.grant_parts set state = 'absent', evidence = '{"untouched": true}', work = null, due_at = null
      where grant_id = any($1) and state = 'planned' and fence = 0 returning ${PART}`, [grants]);
  await sql.run(
    `update brevet.grant_parts set work = 'withdraw', due_at = $2, claimed_until = null, attempts = 0,
            last_error = case when $3 then last_error end
      where grant_id = any($1) and state <> 'absent'`, [grants, at, reason === 'activation_failed']);
  const told = await sql.run(
    `update brevet.sessions set cut_reason = $2 where id = any(array(
       select id from brevet.sessions where grant_id = any($1) and state <> 'ended' and cut_reason is null order by id for no key update))`,
    [grants, TELLS_SESSIONS[reason]]);
  await notify('work');
  if (told > 0) await notify('sessions');
  return untouched;
}

/**
 * A look at the front of a partial index for each: without an order to come in, PostgreSQL reads the table instead when it has
 * no statistics yet. A part that is absent and not settled may belong to a grant with others.
 */
async function awaiting(sql: Sql, now: Date, overdueBefore: Date): Promise<readonly Awaiting[]> {
  const row = await sql.row<Record<Awaiting, boolean | null>>(
    `select (select true from brevet.grants where state = 'active' and deadline <= $1 order by deadline limit 1) as due,
            (select true from brevet.sessions where state <> 'ended' and lease_until < $1 order by lease_until limit 1) as lost,
            (select true from brevet.grant_parts where state = 'absent' and not settled order by grant_id limit 1) as finished,
            (select true from brevet.grants where state = 'revoking' and overdue_at is null and ${LATE('$2', '$1')} order by revoke_due_at limit 1) as overdue,
            (select true from brevet.grants where state = 'activating' and activate_by <= $1 order by activate_by limit 1) as stale,
            (select true from brevet.grants where state = 'scheduled' and start_at <= $1 order by start_at limit 1) as starting,
            (select true from brevet.requests where state = 'pending' and expires_at <= $1 order by expires_at limit 1) as expired`, [now, overdueBefore]);
  return row === null ? [] : (Object.keys(row) as Awaiting[]).filter((what) => row[what]);
}

/** Four looks at the front of four partial indexes. */
async function nextInstant(sql: Sql, until: Date): Promise<Date | null> {
  const row = await sql.row<{ next: Date | null }>(
    `select least((select min(start_at) from brevet.grants where state = 'scheduled' and start_at <= $1),
                  (select min(deadline) from brevet.grants where state = 'active' and deadline <= $1),
                  (select min(activate_by) from brevet.grants where state = 'activating' and activate_by <= $1),
                  (select min(expires_at) from brevet.requests where state = 'pending' and expires_at <= $1)) as next`, [until]);
  return row?.next ?? null;
}
