import type { Json } from '#domain/json.ts';
import type { TargetSession } from './connect.ts';
import { quoteIdentifier, quoteQualified } from './identifier.ts';
import { plainText } from './plain-text.ts';
import { changePrivileges, heldPrivileges } from './privileges.ts';

/** At most this many things left behind are named; the rest are counted. */
const MOST_NAMED = 200;

/**
 * What an account left in the session's database, found, disarmed, and handed to a new owner. Runs in the caller's
 * transaction, when no session of the account is open any more. Answers what was found, for the residue.
 *
 * Handing over alone would be a trap (B15): code runs with its *owner's* rights in SECURITY DEFINER functions, views and
 * rules, so that a planted function would wake up as a superuser's. Hence everything is closed first: nobody but the new
 * owner may reach it, its functions run as their caller, and its triggers on others' tables are off.
 */
export async function settleEstate(session: TargetSession, account: { oid: number; name: string }): Promise<readonly Json[]> {
  const residue: Json[] = [];
  const owned = await session.rows(
    `select i.type, i.identity, d.classid::regclass::text as class, p.prosecdef
     from pg_shdepend d
     join pg_database b on b.oid = d.dbid and b.datname = current_database()
     left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
     left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
     left join pg_namespace n on n.oid = c.relnamespace,
     pg_identify_object(d.classid, d.objid, d.objsubid) i
     where d.refclassid = 'pg_authid'::regclass and d.refobjid = $1 and d.deptype = 'o' and coalesce(n.nspname, '') !~ '^pg_(temp|toast)'
     order by i.type, i.identity limit 5001`, [account.oid],
  );
  const heir = owned.length > 0 ? await heirOf(session) : '';
  for (const row of owned.slice(0, MOST_NAMED)) {
    residue.push({
      kind: row['prosecdef'] === true ? 'security_definer_function' : 'object', type: String(row['type']),
      name: plainText(row['identity']), newOwner: plainText(heir), closed: true,
    });
  }
  if (owned.length > MOST_NAMED) residue.push({ kind: 'object', more: owned.length - MOST_NAMED });
  if (owned.length > 0) {
    residue.push(...(await disableTriggers(session, account.oid)));
    await disarm(session, account.oid);
    await session.rows(`reassign owned by ${quoteIdentifier(account.name)} to ${quoteIdentifier(heir)}`);
  }
  residue.push(...(await removeJobs(session, account.name)));
  if (!session.superuser) await takeOwnGifts(session, account);
  // What is left under its name now are privileges, default privileges and mentions in policies.
  await session.rows(`drop owned by ${quoteIdentifier(account.name)}`);
  return residue;
}

/**
 * DROP OWNED revokes everything of an object at once, and counts a sequence as a table: it is denied where Brevet may
 * pass on single columns or a sequence's USAGE only. What Brevet gave one by one it may take one by one.
 */
async function takeOwnGifts(session: TargetSession, account: { oid: number; name: string }): Promise<void> {
  const held = await heldPrivileges(session, account.oid);
  const given = held.filter(({ grantor, grantable }) => grantor === session.config.user && !grantable);
  await changePrivileges(session, 'revoke', given, account.name);
}

/** The configured heir, the database's owner, or Brevet's own role when it may not hand things to that one. */
async function heirOf(session: TargetSession): Promise<string> {
  const [row] = await session.rows(
    `select case when pg_has_role(current_user, r.oid, 'member') then r.rolname else current_user end as heir
     from pg_roles r where r.rolname = coalesce($1, (select pg_get_userbyid(datdba) from pg_database where datname = current_database()))`,
    [session.config.reassignTo],
  );
  return typeof row?.['heir'] === 'string' ? row['heir'] : session.config.user;
}

/** Triggers on other people's tables that call a function of the account: they would run as whoever changes the table. */
async function disableTriggers(session: TargetSession, oid: number): Promise<readonly Json[]> {
  const planted = await session.rows(
    `select n.nspname, c.relname, t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where p.proowner = $1 and c.relowner <> $1 and not t.tgisinternal and t.tgenabled <> 'D' order by 1, 2, 3`, [oid],
  );
  for (const row of planted) {
    const table = quoteQualified({ schema: String(row['nspname']), name: String(row['relname']) });
    await session.rows(`alter table ${table} disable trigger ${quoteIdentifier(String(row['tgname']))}`);
  }
  return planted.map((row) => ({
    kind: 'trigger', name: plainText(row['tgname']), on: plainText(`${String(row['nspname'])}.${String(row['relname'])}`), disabled: true,
  }));
}

/** Makes SECURITY DEFINER functions run as their caller, and takes every access of others to what the account owns. */
async function disarm(session: TargetSession, oid: number): Promise<void> {
  const routines = await session.rows('select oid::regprocedure::text as sql from pg_proc where proowner = $1 and prosecdef', [oid]);
  for (const row of routines) await session.rows(`alter routine ${String(row['sql'])} security invoker`);
  const open = await session.rows(
    `select 'routine' as place, p.oid::regprocedure::text as routine, null::name as schema, null::name as name, a.grantee
     from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where p.proowner = $1
     union
     select case c.relkind when 'S' then 'sequence' else 'table' end, null, n.nspname, c.relname, a.grantee
     from pg_class c join pg_namespace n on n.oid = c.relnamespace,
       lateral (select * from aclexplode(c.relacl) union all select x.* from pg_attribute t, aclexplode(t.attacl) x where t.attrelid = c.oid) a
     where c.relowner = $1 and c.relkind in ('r','p','v','m','f','S')
     union
     select 'schema', null, null, n.nspname, a.grantee from pg_namespace n, aclexplode(n.nspacl) a where n.nspowner = $1`, [oid],
  );
  for (const row of open) {
    if (row['grantee'] === oid) continue;
    const what = row['place'] === 'routine' ? String(row['routine'])
      : row['place'] === 'schema' ? quoteIdentifier(String(row['name']))
      : quoteQualified({ schema: String(row['schema']), name: String(row['name']) });
    const who = row['grantee'] === 0 ? 'public' : await nameOf(session, row['grantee']);
    await session.rows(`revoke all on ${String(row['place'])} ${what} from ${who} cascade`);
  }
}

async function nameOf(session: TargetSession, oid: unknown): Promise<string> {
  const [row] = await session.rows('select rolname from pg_roles where oid = $1', [oid]);
  return row ? quoteIdentifier(String(row['rolname'])) : 'public';
}

/**
 * Jobs that pg_cron would start as the account. Only the extension's own table is touched: deleting from a look-alike
 * would run its owner's triggers with Brevet's rights.
 */
async function removeJobs(session: TargetSession, name: string): Promise<readonly Json[]> {
  const [table] = await session.rows(
    `select n.nspname, c.relname from pg_extension e
     join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e' and d.classid = 'pg_class'::regclass
     join pg_class c on c.oid = d.objid and c.relname = 'job' and c.relkind = 'r' join pg_namespace n on n.oid = c.relnamespace
     where e.extname = 'pg_cron'`,
  );
  if (!table) return [];
  const jobs = await session.rows(
    `delete from ${quoteQualified({ schema: String(table['nspname']), name: String(table['relname']) })} where username = $1
     returning jobid::text as id, schedule, left(command, 200) as command`, [name],
  );
  return jobs.map((row) => ({
    kind: 'scheduled_job', name: plainText(row['id']), schedule: plainText(row['schedule']), command: plainText(row['command']), removed: true,
  }));
}
