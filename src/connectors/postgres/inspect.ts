import type { OwnedObject, Probe, StandingPrivilege, TargetAccess } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { entriesOf } from './access-list.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { markedRoles } from './marker.ts';
import { plainText } from '../plain-text.ts';
import type { Tools } from './tools.ts';

/**
 * One attempt to sign in within 3 s. A server that answers and refuses is reachable, with `problem` saying what it said:
 * a full attempt will meet the same refusal and report it as such.
 */
export async function probe(target: TargetAccess, tools: Tools): Promise<Probe> {
  const timeouts = { ...tools.timeouts, statement: 2000, connection: 3000 };
  try {
    await using session = await openTarget(target, null, timeouts);
    const before = tools.now().getTime();
    const [row] = await session.rows("select extract(epoch from clock_timestamp())::float8 * 1000 as ms, current_setting('server_version') as version");
    const after = tools.now().getTime();
    const theirs = row?.['ms'];
    // The answer was made about half a round trip ago.
    const skewMs = typeof theirs === 'number' && Number.isFinite(theirs) ? Math.round(theirs - (before + after) / 2) : null;
    return { reachable: true, skewMs, version: plainText(row?.['version']).slice(0, 80), problem: null, hint: null };
  } catch (error) {
    const refusal = error instanceof Refusal ? error : null;
    const problem = refusal ? refusal.message : 'the probe failed';
    return { reachable: refusal?.code === 'target_refused', skewMs: null, version: null, problem, hint: refusal?.details.hint ?? null };
  }
}

/** Every role that this Brevet made on the target: by its mark, never by its name alone. */
export async function listOwned(target: TargetAccess, tools: Tools): Promise<readonly OwnedObject[]> {
  await using session = await openTarget(target, null, tools.timeouts);
  return (await markedRoles(session, tools.installation)).map(({ name, validUntil }) => {
    const until = validUntil === null ? Number.NaN : Date.parse(validUntil.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
    return { name, validUntil: Number.isNaN(until) ? null : new Date(until) };
  });
}

/** Standing privileges are listed up to here; a server with more has a larger problem. */
const MOST = 20_000;

/** What every role but Brevet's can do with no grant, PUBLIC included: attributes, memberships, privileges on objects. */
export async function listStanding(target: TargetAccess, tools: Tools): Promise<readonly StandingPrivilege[]> {
  await using session = await openTarget(target, null, tools.timeouts);
  const found = await read(session, tools.installation, SERVER_WIDE);
  const databases = await session.rows("select datname from pg_database where datallowconn and has_database_privilege(oid, 'connect') order by datname limit 200");
  for (const row of databases) {
    if (found.length >= MOST) break;
    const database = String(row['datname']);
    try {
      await using there = await openTarget(target, database, tools.timeouts);
      found.push(...(await read(there, tools.installation, IN_DATABASE)));
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'target_refused') throw error; // that database is not ours to read
    }
  }
  return found.slice(0, MOST);
}

async function read(session: TargetSession, installation: string, sql: string): Promise<StandingPrivilege[]> {
  const ours = new Set([...(await markedRoles(session, installation)).map(({ name }) => name), session.config.user]);
  const rows = await session.rows(`${sql} limit ${MOST}`);
  return rows
    .map((row) => ({ account: plainText(row['account']), privilege: plainText(row['privilege']), on: plainText(row['place']) }))
    .filter(({ account, on }) => !ours.has(account) && !ours.has(on.replace(/^role /, '')));
}

const SERVER_WIDE = `
select rolname as account, privilege, 'server' as place from pg_roles,
  lateral (values (rolsuper, 'superuser'), (rolcreaterole, 'createrole'), (rolcreatedb, 'createdb'),
    (rolreplication, 'replication'), (rolbypassrls, 'bypassrls')) as v(has, privilege)
where has
union all
select u.rolname, case when m.admin_option then 'member with admin option' else 'member' end, 'role ' || r.rolname
from pg_auth_members m join pg_roles u on u.oid = m.member join pg_roles r on r.oid = m.roleid
where u.rolname !~ '^pg_'
order by 1, 2, 3`;

const IN_DATABASE = `
select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end as account, lower(a.privilege_type) as privilege,
  format('table %I.%I in database %I', n.nspname, c.relname, current_database()) as place
from pg_class c join pg_namespace n on n.oid = c.relnamespace, ${entriesOf("coalesce(c.relacl, acldefault('r', c.relowner))")} a
where c.relkind in ('r','p','v','m','f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end, lower(a.privilege_type),
  format('schema %I in database %I', n.nspname, current_database())
from pg_namespace n, ${entriesOf("coalesce(n.nspacl, acldefault('n', n.nspowner))")} a
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end, lower(a.privilege_type), format('database %I', current_database())
from pg_database d, ${entriesOf("coalesce(d.datacl, acldefault('d', d.datdba))")} a where d.datname = current_database()
order by 1, 2, 3`;
