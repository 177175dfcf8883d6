import type { PrincipalTable } from '#app/ports/store.ts';
import type { PrincipalId } from '#domain/id.ts';
import type { Sql } from './sql.ts';

/** Requests and grants that are somebody's: asked by them, or for them by a workload. */
const THEIRS = '(principal_id = $1 or on_behalf_of_id = $1)';
const THEIR_SESSIONS = '(select id from brevet.sessions where principal_id = $1 or grant_id in (select id from brevet.grants where on_behalf_of_id = $1))';

type Erasure = Pick<PrincipalTable, 'live' | 'erasedAt' | 'erase' | 'keepErasedName' | 'byErasedName'>;

export function erasure(sql: Sql, now: Date): Erasure {
  return {
    live: async (id) => (await sql.row<{ grants: number; sessions: number; requests: number }>(
      `with them as (select id from brevet.principals where id = $1 or owner_id = $1)
       select (select count(*) from brevet.grants where state <> 'ended' and (principal_id in (select id from them) or on_behalf_of_id = $1))::integer as grants,
              (select count(*) from brevet.sessions where state <> 'ended' and principal_id in (select id from them))::integer as sessions,
              (select count(*) from brevet.requests where state = 'pending' and (principal_id in (select id from them) or on_behalf_of_id = $1))::integer as requests`,
      [id])) ?? { grants: 0, sessions: 0, requests: 0 },
    erasedAt: async (id) => (await sql.row<{ at: Date | null }>('select erased_at as at from brevet.principals where id = $1', [id]))?.at ?? null,
    erase: async (id, { name, displayName }) => {
      const renamed = await sql.run(
        `update brevet.principals set name = $2, display_name = $3, administrator = false, password_hash = null, password_issued_by = null, erased_at = $4
          where id = $1 and erased_at is null`, [id, name, displayName, now]);
      if (renamed === 0) return null;
      await sql.run('update brevet.subject_keys set sealed = null, destroyed_at = $2 where principal_id = $1 and sealed is not null', [id, now]);
      await forgetSignIns(sql, id, now);
      const requests = await blankRequests(sql, id, now);
      await blankParts(sql, id, name);
      return { requests, sessions: await blankSessions(sql, id, now) };
    },
    keepErasedName: async (id, hash) => {
      await sql.run('insert into brevet.erased_names (name_hash, principal_id) values ($1, $2)', [hash, id]);
    },
    byErasedName: async (hash) => (await sql.row<{ id: PrincipalId }>(
      'select principal_id as id from brevet.erased_names where name_hash = $1', [hash]))?.id ?? null,
  };
}

/** Keys stay, without their labels, so that none is enrolled again; what was answered to their calls goes. */
async function forgetSignIns(sql: Sql, id: PrincipalId, now: Date): Promise<void> {
  await sql.run(`update brevet.keys set label = 'erased', revoked_at = coalesce(revoked_at, $2) where principal_id = $1`, [id, now]);
  for (const table of ['idempotency_keys', 'sign_in_links', 'connection_tokens', 'group_members']) {
    await sql.run(`delete from brevet.${table} where principal_id = $1`, [id]);
  }
}

/** Answers how many of their requests there were. A denial's reason stands with the request as well as with the review. */
async function blankRequests(sql: Sql, id: PrincipalId, now: Date): Promise<number> {
  const blanked = await sql.run(
    `update brevet.requests set reason = '[erased]', ticket = null, decision_reason = null, erased_at = $2 where ${THEIRS} and erased_at is null`, [id, now]);
  await sql.run(
    `update brevet.requests set decision_reason = null where decision_reason is not null
        and id in (select request_id from brevet.reviews where reviewer_id = $1 and decision = 'deny')`, [id]);
  await sql.run(
    `update brevet.reviews set reason = null, erased_at = $2 where reason is not null
        and (reviewer_id = $1 or request_id in (select id from brevet.requests where ${THEIRS}))`, [id, now]);
  return blanked;
}

/** An account on a target may bear their name: the one that was raised, where the entitlement says so by {name}. */
async function blankParts(sql: Sql, id: PrincipalId, name: string): Promise<void> {
  await sql.run(`update brevet.grant_parts set last_error = null where last_error is not null and grant_id in (select id from brevet.grants where ${THEIRS})`, [id]);
  await sql.run(
    `update brevet.grant_parts p set account = replace(g.entitlement -> 'parts' -> p.ordinal ->> 'account', '{name}', $2),
            prior = p.prior - 'accountName', evidence = p.evidence - 'account'
       from brevet.grants g where g.id = p.grant_id and (g.principal_id = $1 or g.on_behalf_of_id = $1)
        and strpos(g.entitlement -> 'parts' -> p.ordinal ->> 'account', '{name}') > 0`, [id, name]);
}

/** Answers how many of their sessions there were. A recording's chunks keep their hashes, which the log's roots stand on. */
async function blankSessions(sql: Sql, id: PrincipalId, now: Date): Promise<number> {
  await sql.run(`update brevet.recording_chunks set sealed = null, destroyed_at = $2 where sealed is not null and session_id in ${THEIR_SESSIONS}`, [id, now]);
  return await sql.run(`update brevet.sessions set client_address = 'erased', application = null, facts = '{}' where id in ${THEIR_SESSIONS}`, [id]);
}
