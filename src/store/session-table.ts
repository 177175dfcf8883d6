import type { Page, SessionEnding, SessionFilter, SessionStanding, SessionTable } from '#app/ports/store.ts';
import type { Grant, Session } from '#domain/grant.ts';
import type { GrantId, SessionId } from '#domain/id.ts';
import { appendChunk } from './append-chunk.ts';
import { GRANT, grantOf, type GrantRow, SESSION, type SessionRow } from './rows.ts';
import { Conditions, type Sql } from './sql.ts';

export function sessionTable(sql: Sql, now: Date): SessionTable {
  return {
    insert: (session) => insert(sql, session),
    byId: (id) => sql.row<SessionRow>(`select ${SESSION} from brevet.sessions where id = $1`, [id]),
    lock: (id) => sql.row<SessionRow>(`select ${SESSION} from brevet.sessions where id = $1 for no key update`, [id]),
    list: (filter, page) => list(sql, filter, page),
    countLive: async (grants) => new Map((await sql.rows<{ grant: GrantId; n: number }>(
      `select grant_id as "grant", count(*)::integer as n from brevet.sessions where grant_id = any($1) and state <> 'ended' group by grant_id`, [grants]))
      .map(({ grant, n }) => [grant, n])),
    // A session that is to be cut does not begin.
    activate: async (id, facts) => (await sql.run(
      `update brevet.sessions set state = 'active', facts = facts || $2 where id = $1 and state = 'pending' and cut_reason is null`,
      [id, JSON.stringify(facts)])) === 1,
    renew: (broker, ids, leaseMs) => renew(sql, broker, ids, leaseMs, now),
    standing: (ids) => sql.rows<SessionStanding & { session: SessionId }>(
      `select s.id as session, s.cut_reason as "cutReason", g.state as "grantState", g.deadline, s.state = 'ended' as ended
         from brevet.sessions s join brevet.grants g on g.id = s.grant_id where s.id = any($1)`, [ids]),
    cut: async (filter, reason) => {
      const where = conditions({ ...filter, live: true }).add('id = any($)', filter.ids);
      const set = where.parameter(reason);
      const rows = await sql.rows<{ id: SessionId }>(
        `update brevet.sessions set cut_reason = coalesce(cut_reason, ${set})
          where id = any(array(select id from brevet.sessions where ${where} order by id for no key update)) returning id`, where.values);
      return rows.map(({ id }) => id);
    },
    endAll: (ends, at) => endAll(sql, ends, at),
    letLapse: async (grant, part, until) => {
      await sql.run(
        "update brevet.sessions set lease_until = least(lease_until, $3) where grant_id = $1 and part_id = $2 and state <> 'ended'", [grant, part, until]);
    },
    lockLost: (before, limit, except = []) => sql.rows<SessionRow>(
      `select ${SESSION} from brevet.sessions where state <> 'ended' and lease_until < $1 and id <> all($3)
        order by lease_until limit $2 for no key update skip locked`, [before, limit, except]),
    appendChunk: (id, seq, sealed, plainHash, events, at) => appendChunk(sql, { id, seq, sealed, plainHash, events, at }),
    chunks: (id, from, limit) => sql.rows<{ seq: number; sealed: Uint8Array | null; hash: string; at: Date }>(
      'select seq, sealed, hash, at from brevet.recording_chunks where session_id = $1 and seq >= $2 order by seq limit $3', [id, from, limit]),
  };
}

async function insert(sql: Sql, s: Session): Promise<void> {
  await sql.run(
    `insert into brevet.sessions (id, grant_id, part_id, principal_id, protocol, broker_id, state, opened_at, lease_until,
       client_address, application, facts, cut_reason, ended_at, end_reason, statements, bytes_in, bytes_out, recording_root)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
    [s.id, s.grant, s.part, s.principal, s.protocol, s.broker, s.state, s.openedAt, s.leaseUntil, s.clientAddress, s.application,
      JSON.stringify(s.facts), s.cutReason, s.endedAt, s.endReason, s.statements, s.bytesIn, s.bytesOut, s.recordingRoot]);
}

function conditions(filter: SessionFilter): Conditions {
  return new Conditions()
    .add('grant_id = $', filter.grant)
    .add('principal_id = $', filter.principal)
    // Asked for each session: what a target ever had is far more than what is open.
    .add('(select p.target_id from brevet.grant_parts p where p.id = part_id) = $', filter.target)
    .when(filter.live === true, `state <> 'ended'`)
    .when(filter.live === false, `state = 'ended'`);
}

async function list(sql: Sql, filter: SessionFilter, page: Page): Promise<readonly Session[]> {
  const where = conditions(filter).add('id < $', page.before ?? undefined);
  const limit = where.parameter(page.limit);
  return sql.rows<SessionRow>(`select ${SESSION} from brevet.sessions where ${where} order by id desc limit ${limit}`, where.values);
}

/** Rows are locked in order of id, here and wherever many are: two who overlap must not wait for each other in a ring. */
async function renew(sql: Sql, broker: string, ids: readonly SessionId[], leaseMs: number, now: Date): Promise<readonly { session: Session; grant: Grant }[]> {
  const sessions = await sql.rows<SessionRow>(
    `update brevet.sessions
        set lease_until = $3::timestamptz + $4 * interval '1 millisecond' + (
              select (g.entitlement ->> 'graceSeconds')::integer * interval '1 second' from brevet.grants g where g.id = grant_id)
      where id = any(array(select id from brevet.sessions where id = any($1) and broker_id = $2 and state <> 'ended' order by id for no key update))
      returning ${SESSION}`, [ids, broker, now, leaseMs]);
  const rows = await sql.rows<GrantRow>(`select ${GRANT} from brevet.grants where id = any($1)`, [[...new Set(sessions.map((s) => s.grant))]]);
  const grants = new Map(rows.map((row) => [row.id, grantOf(row)]));
  return sessions.flatMap((session) => {
    const grant = grants.get(session.grant);
    return grant ? [{ session, grant }] : [];
  });
}

function endAll(sql: Sql, ends: readonly SessionEnding[], at: Date): Promise<readonly Session[]> {
  const column = (name: keyof SessionEnding) => ends.map((end) => end[name]);
  return sql.rows<SessionRow>(
    `update brevet.sessions s
        set state = 'ended', ended_at = $1, end_reason = e.why, statements = e.counted, bytes_in = e.came, bytes_out = e.went,
            recording_root = (select hash from brevet.recording_chunks where session_id = s.id order by seq desc limit 1)
       from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) as e (session, why, counted, came, went)
      where s.id = e.session
        and s.id = any(array(select id from brevet.sessions where id = any($2) and state <> 'ended' order by id for no key update))
      returning ${SESSION}`, [at, column('id'), column('reason'), column('statements'), column('bytesIn'), column('bytesOut')]);
}
