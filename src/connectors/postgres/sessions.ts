import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '#domain/refusal.ts';
import type { TargetSession } from './connect.ts';

/** Which sessions to end. */
export type SessionFilter =
  /** All that signed in as this role, also those that did `SET ROLE` since: `usesysid` is who signed in. */
  | { readonly of: number }
  /** Of several roles, the ones that began before this instant (text as the target wrote it). */
  | { readonly ofAny: readonly number[]; readonly before: string }
  /** All of one role that began since this instant, but for these backends. */
  | { readonly of: number; readonly since: string; readonly except: readonly number[] }
  /** Of those, the ones with an open transaction that has changed a role, or waits to: it keeps its lock on the catalogue until its end. */
  | { readonly of: number; readonly changingRoles: true }
  /** Sessions of roles that exist no more: dropping a role does not end its sessions (B04, B10). */
  | { readonly of: 'nobody' }
  /** One of those backends, by its number and, as numbers are used again, its start when that is known. */
  | { readonly of: number; readonly pid: number; readonly start: string | null };

/**
 * Whether Brevet's role may see and end the sessions of an account that it did not make. Asked before anything is given
 * to it: what can't be taken away is not given.
 * @throws Refusal `target_refused`
 */
export async function checkMayEnd(session: TargetSession, account: number): Promise<void> {
  const [row] = await session.rows(
    `select r.rolsuper or pg_has_role(r.oid, $1::oid, 'usage')
       or (pg_has_role(r.oid, 'pg_signal_backend', 'usage') and pg_has_role(r.oid, 'pg_read_all_stats', 'usage')) as may
     from pg_roles r where r.rolname = current_user`, [account],
  );
  if (row?.['may'] === true) return;
  throw new Refusal('target_refused', 'Brevet\'s role on the target could not end the sessions of this account', {
    hint: 'As a superuser of the target: grant pg_signal_backend, pg_read_all_stats to Brevet\'s role.',
  });
}

/**
 * Whether Brevet's role may set the password and the settings of an account that it did not make. Asked before anybody
 * gets a session as it: what can't be put back is not lent.
 * @throws Refusal `target_refused`
 */
export async function checkMayRestore(session: TargetSession, account: number): Promise<void> {
  const [row] = await session.rows(
    `select r.rolsuper or (r.rolcreaterole and ($2 or pg_has_role(r.oid, $1::oid, 'member with admin option'))) as may
     from pg_roles r where r.rolname = current_user`, [account, session.version < 160_000],
  );
  if (row?.['may'] === true) return;
  throw new Refusal('target_refused', 'Brevet\'s role on the target could not put back the password of this account when a session changes it', {
    hint: 'As a superuser of the target: alter role ... createrole; from PostgreSQL 16 on also grant the account to Brevet\'s role with admin option.',
  });
}

/** Asked for each, so that one session that Brevet's role may not end keeps none of the others alive. */
export const MAY_END = "(pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))";

/**
 * Ends sessions and waits until they are gone, at most `patience` milliseconds.
 * Answers how many were seen first, and how many were still there at last.
 */
export async function endSessions(session: TargetSession, filter: SessionFilter, patience: number): Promise<{ seen: number; left: number }> {
  const [where, values] = conditionOf(filter);
  const ended = new Set<unknown>();
  for (let waited = 0, pause = 2; ; waited += pause, pause = Math.min(2 * pause, 100)) {
    const rows = await session.rows(
      `select a.pid, case when ${MAY_END} then pg_terminate_backend(a.pid) end from pg_stat_activity a where a.pid <> pg_backend_pid() and ${where}`, values,
    );
    for (const row of rows) ended.add(row['pid']);
    if (rows.length === 0 || waited >= patience) return { seen: ended.size, left: rows.length };
    await sleep(pause);
  }
}

function conditionOf(filter: SessionFilter): [string, unknown[]] {
  // A start that is hidden from us may be any: better one session too many than one too few.
  const notAfter = '(a.backend_start <= $2::timestamptz or a.backend_start is null)';
  if ('ofAny' in filter) return [`a.usesysid = any($1::oid[]) and ${notAfter}`, [filter.ofAny, filter.before]];
  if ('pid' in filter) {
    return ['a.usesysid = $1 and a.pid = $2 and ($3::timestamptz is null or a.backend_start = $3::timestamptz)', [filter.of, filter.pid, filter.start]];
  }
  if ('changingRoles' in filter) {
    const changing = `exists (select from pg_locks l where l.pid = a.pid and l.database = 0 and l.mode = 'RowExclusiveLock'
      and l.relation in ('pg_authid'::regclass, 'pg_db_role_setting'::regclass))`;
    return [`a.usesysid = $1 and ${changing}`, [filter.of]];
  }
  if (filter.of === 'nobody') return ['a.usesysid is not null and not exists (select from pg_roles r where r.oid = a.usesysid)', []];
  if ('since' in filter) {
    return ['a.usesysid = $1 and (a.backend_start >= $2::timestamptz or a.backend_start is null) and a.pid <> all($3::int[])', [filter.of, filter.since, filter.except]];
  }
  return ['a.usesysid = $1', [filter.of]];
}
