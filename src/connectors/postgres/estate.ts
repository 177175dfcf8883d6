import type { Json } from '#domain/json.ts';
import type { Row, TargetSession } from './connect.ts';
import { disarm } from './disarm.ts';
import { findHeir, handOver } from './heir.ts';
import { quoteIdentifier, quoteQualified } from './identifier.ts';
import type { Role } from './marker.ts';
import { plainText } from '../plain-text.ts';
import { changePrivileges, heldPrivileges } from './privileges.ts';

/** At most this many things left behind are named; the rest are counted. */
const MOST_NAMED = 200;

/**
 * What an account left in the session's database, found, disarmed, and handed to a new owner. Runs in the caller's
 * transaction, when no session of the account is open any more. Answers what was found, for the residue.
 *
 * Handing over alone would be a trap (B15): code runs with its *owner's* rights in SECURITY DEFINER functions, views, rules,
 * foreign keys' actions, and expressions that autovacuum evaluates. Hence everything is closed first, and goes to somebody
 * who can do nothing.
 */
export async function settleEstate(session: TargetSession, account: Role): Promise<readonly Json[]> {
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
  if (owned.length > 0) {
    // Before the heir is chosen: the account may have granted on its own things to the one that would be.
    residue.push(...(await disarm(session, account.oid)));
    const heir = await findHeir(session, account.marker?.installation ?? '');
    residue.push(...heir.residue, ...owned.slice(0, MOST_NAMED).map((row) => wordsOf(row, heir.name)));
    if (owned.length > MOST_NAMED) residue.push({ kind: 'object', more: owned.length - MOST_NAMED });
    await handOver(session, account, heir.name);
  }
  residue.push(...(await removeJobs(session, account.name)));
  if (!session.superuser) await takeOwnGifts(session, account);
  // What is left under its name now are privileges, default privileges and mentions in policies.
  await session.rows(`drop owned by ${quoteIdentifier(account.name)}`);
  return residue;
}

function wordsOf(row: Row, heir: string): Json {
  return {
    kind: row['prosecdef'] === true ? 'security_definer_function' : 'object', type: String(row['type']),
    name: plainText(row['identity']), newOwner: plainText(heir), closed: true,
  };
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
