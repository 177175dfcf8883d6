import type { Json } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Row, TargetSession } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import { faultOfReach } from './memberships.ts';
import { plainText } from '../plain-text.ts';

/** Who is to own what an account left behind, with what is to be told of the choice. */
export interface Heir {
  readonly name: string;
  readonly residue: readonly Json[];
}

/**
 * Whatever was overlooked in what was left runs as its new owner some day: at the worst that must be nobody in particular
 * (docs/decisions/0016). So a role of Brevet's own that can do nothing, unless the target's configuration names another
 * (`reassignTo`) that is no administrator by any way and that Brevet may hand things to.
 */
export async function findHeir(session: TargetSession, installation: string): Promise<Heir> {
  const wanted = session.config.reassignTo;
  const fault = wanted === null ? null : await faultOfHeir(session, wanted);
  if (wanted !== null && fault === null) return { name: wanted, residue: [] };
  const estate = await estateRole(session, installation);
  return wanted === null ? estate : { name: estate.name, residue: [...estate.residue, { kind: 'heir_refused', name: plainText(wanted), why: fault }] };
}

async function faultOfHeir(session: TargetSession, name: string): Promise<string | null> {
  const [row] = await session.rows("select pg_has_role(current_user, oid, 'member') as may from pg_roles where rolname = $1", [name]);
  if (!row) return 'it does not exist';
  return (await faultOfReach(session, [name])) ?? (row['may'] === true ? null : 'Brevet\'s role is no member of it');
}

const ESTATES = `
select r.rolname, shobj_description(r.oid, 'pg_authid') = $2 || r.oid as ours,
  r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls
    or exists (select from pg_auth_members m where m.member = r.oid)
    or exists (select from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype <> 'o') as powerful
from pg_roles r where r.rolname = any($1) order by length(r.rolname), r.rolname`;
/** Not even a role that somebody gives something to after each removal makes so many. */
const MOST = 500;

/**
 * The first of `brevet_estate_...`, `..._2` and so on that this Brevet made and nobody gave anything to; made when there is
 * none. One that is not as it was made is passed over, not refused: anybody who owns a table can grant on it to any role, and
 * must not be able to hold up a removal so.
 */
async function estateRole(session: TargetSession, installation: string): Promise<Heir> {
  const marker = `brevet-estate of=${installation} oid=`;
  const names = Array.from({ length: MOST }, (_, at) => `brevet_estate_${installation}${at === 0 ? '' : `_${at + 1}`}`);
  const there = await session.rows(ESTATES, [names, marker]);
  const fit = there.find((row) => row['ours'] === true && row['powerful'] === false);
  const name = fit ? String(fit['rolname']) : names.find((one) => !there.some((row) => row['rolname'] === one));
  if (name === undefined) throw new Refusal('target_refused', `all of ${String(names[0])} to _${MOST} on the target were changed by others`);
  const quoted = quoteIdentifier(name);
  if (!fit) {
    const [made] = await session.rows(`create role ${quoted} with nologin; select oid from pg_roles where rolname = ${quoteLiteral(name)}`);
    await session.rows(`comment on role ${quoted} is ${quoteLiteral(`${marker}${String(made?.['oid'])}`)}`);
  }
  // To hand something to it without being a superuser one must be a member of it.
  if (!session.superuser) await session.rows(`grant ${quoted} to current_user${session.version >= 160_000 ? ' with inherit true, set true' : ''}`);
  const passedOver = fit ? there.slice(0, there.indexOf(fit)) : there;
  return { name, residue: passedOver.map((row) => passedOverWords(row)) };
}

function passedOverWords(row: Row): Json {
  return { kind: 'estate_role_changed', name: plainText(row['rolname']), why: row['ours'] === true ? 'somebody gave it something' : 'it is not Brevet\'s' };
}

/**
 * Hands everything over. A new owner must be allowed to create in the schema when it is no superuser who gives: it is for
 * the moment, and not afterwards.
 */
export async function handOver(session: TargetSession, account: { oid: number; name: string }, heir: string): Promise<void> {
  const schemas = session.superuser ? [] : await session.rows(
    `select n.nspname as name, n.nspowner = $1 as own from pg_namespace n where not has_schema_privilege($2::name, n.oid, 'create') and n.nspname !~ '^pg_' and n.nspname in (
       select i.schema from pg_shdepend d, pg_identify_object(d.classid, d.objid, d.objsubid) i
       where d.refclassid = 'pg_authid'::regclass and d.refobjid = $1 and d.deptype = 'o' and d.classid <> 'pg_class'::regclass
         and d.dbid = (select oid from pg_database where datname = current_database()))`, [account.oid, heir],
  );
  const to = quoteIdentifier(heir);
  for (const { name } of schemas) await session.rows(`grant create on schema ${quoteIdentifier(String(name))} to ${to}`);
  await session.rows(`reassign owned by ${quoteIdentifier(account.name)} to ${to}`);
  for (const { name, own } of schemas) if (own !== true) await session.rows(`revoke create on schema ${quoteIdentifier(String(name))} from ${to}`);
}
