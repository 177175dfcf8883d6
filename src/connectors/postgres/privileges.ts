import { Refusal } from '#domain/refusal.ts';
import { entriesOf } from './access-list.ts';
import type { Row, TargetSession } from './connect.ts';
import { formatQualified, quoteIdentifier, quoteQualified } from './identifier.ts';

export const PLACES = ['database', 'schema', 'table', 'column', 'sequence', 'routine'] as const;
export type Place = (typeof PLACES)[number];

/** One privilege on one object. Objects are known by oid, so that a renamed one is found and a recreated one is not. */
export interface Privilege {
  readonly on: Place;
  readonly oid: number;
  /** `pg_attribute.attnum`; 0 unless a column. */
  readonly column: number;
  /** In SQL's words, lower case: `select`, `usage`, `connect` ... */
  readonly verb: string;
  /** For people: `sales.orders`. */
  readonly name: string;
  /** For SQL: quoted, and for a column the column alone with its table in `table`. */
  readonly sql: string;
  readonly table: string;
}

/** A privilege that a role holds by its own entry in an object's access list. */
export interface HeldPrivilege extends Privilege {
  readonly grantable: boolean;
  /** The name of who granted it. */
  readonly grantor: string;
}

export function keyOf(privilege: Pick<Privilege, 'on' | 'oid' | 'column' | 'verb'>): string {
  return `${privilege.on}:${privilege.oid}:${privilege.column}:${privilege.verb}`;
}

export function wordsOf(privilege: Pick<Privilege, 'on' | 'name' | 'verb'>): string {
  return `${privilege.verb} on ${privilege.on} ${privilege.name}`;
}

/** Statements of at most this many objects: a schema may hold thousands of tables. */
const AT_ONCE = 500;
const VERB = /^[a-z ]{3,20}$/;

/** `grant ... to` or `revoke ... from` one role. */
export async function changePrivileges(session: TargetSession, change: 'grant' | 'revoke', privileges: readonly Privilege[], role: string): Promise<void> {
  for (const what of statements(privileges)) await session.rows(`${change} ${what} ${change === 'grant' ? 'to' : 'from'} ${quoteIdentifier(role)}`);
}

/** `grant select on table a, b`, as few as there can be: for somebody to run, with who gets it behind. */
export function grantStatements(privileges: readonly Privilege[]): readonly string[] {
  return statements(privileges).map((what) => `grant ${what}`);
}

function statements(privileges: readonly Privilege[]): readonly string[] {
  const groups = Map.groupBy(privileges, ({ on, verb, table }) => `${on} ${verb} ${on === 'column' ? table : ''}`);
  return [...groups.values()].flatMap((group) => Array.from({ length: Math.ceil(group.length / AT_ONCE) }, (_, at) => statement(group.slice(at * AT_ONCE, (at + 1) * AT_ONCE))));
}

function statement(group: readonly Privilege[]): string {
  const [first] = group;
  if (!first || !VERB.test(first.verb)) throw new Refusal('target_refused', 'the target named a privilege that is none');
  const names = group.map(({ sql }) => sql).join(', ');
  return first.on === 'column' ? `${first.verb} (${names}) on table ${first.table}` : `${first.verb} on ${first.on} ${names}`;
}

/**
 * Every privilege that role `$1` holds by its own entries in this database, on the database itself, and on the objects
 * `$2` (also as their owner). `pg_shdepend` knows where a role is in an access list, so that nothing need be scanned.
 */
const HELD = `
with at as materialized (
  select classid, objid from pg_shdepend
  where refclassid = 'pg_authid'::regclass and refobjid = $1 and deptype = 'a'
    and dbid in (0, (select oid from pg_database where datname = current_database()))
  union
  select class, object from unnest($2::oid[]) object,
    unnest(array['pg_class', 'pg_namespace', 'pg_database', 'pg_proc']::regclass[]::oid[]) class
), acl as (
  select 'table' as place, c.oid, 0 as col, c.relkind, n.nspname, c.relname as name, null::name as attname, a.*
  from at join pg_class c on c.oid = at.objid join pg_namespace n on n.oid = c.relnamespace,
    ${entriesOf(`coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))`)} a
  where at.classid = 'pg_class'::regclass
  union all
  select 'column', c.oid, t.attnum, c.relkind, n.nspname, c.relname, t.attname, a.*
  from at join pg_class c on c.oid = at.objid join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute t on t.attrelid = c.oid, ${entriesOf('t.attacl')} a
  where at.classid = 'pg_class'::regclass
  union all
  select 'schema', n.oid, 0, null, null, n.nspname, null, a.*
  from at join pg_namespace n on n.oid = at.objid, ${entriesOf("coalesce(n.nspacl, acldefault('n', n.nspowner))")} a
  where at.classid = 'pg_namespace'::regclass
  union all
  select 'database', d.oid, 0, null, null, d.datname, null, a.*
  from at join pg_database d on d.oid = at.objid, ${entriesOf("coalesce(d.datacl, acldefault('d', d.datdba))")} a
  where at.classid = 'pg_database'::regclass
  union all
  select 'routine', p.oid, 0, null, null, p.oid::regprocedure::text, null, a.*
  from at join pg_proc p on p.oid = at.objid, ${entriesOf("coalesce(p.proacl, acldefault('f', p.proowner))")} a
  where at.classid = 'pg_proc'::regclass
)
select case when relkind = 'S' then 'sequence' else place end as place, oid, col, nspname, name, attname,
  lower(privilege_type) as verb, is_grantable, pg_get_userbyid(grantor) as grantor
from acl where grantee = $1 order by 1, 2, 3, 7`;

export async function heldPrivileges(session: TargetSession, roleOid: number, alsoOn: readonly number[] = []): Promise<readonly HeldPrivilege[]> {
  return (await session.rows(HELD, [roleOid, alsoOn])).map((row) => ({
    ...privilegeOf(row), grantable: row['is_grantable'] === true, grantor: String(row['grantor']),
  }));
}

/** A row with `place, oid, col, nspname, name, attname, verb`. */
export function privilegeOf(row: Row): Privilege {
  const { oid, col, nspname, attname } = row;
  const name = String(row['name']);
  const on = PLACES.find((place) => place === row['place']);
  if (on === undefined || typeof oid !== 'number') throw new Refusal('target_refused', 'the target described a privilege wrongly');
  const common = { on, oid, column: typeof col === 'number' ? col : 0, verb: String(row['verb']) };
  if (on === 'routine') return { ...common, name, sql: name, table: '' }; // regprocedure's text is quoted by the server
  if (typeof nspname !== 'string') return { ...common, name, sql: quoteIdentifier(name), table: '' };
  const object = { schema: nspname, name };
  if (on !== 'column') return { ...common, name: formatQualified(object), sql: quoteQualified(object), table: '' };
  const column = String(attname);
  return { ...common, name: `${formatQualified(object)} (${column})`, sql: quoteIdentifier(column), table: quoteQualified(object) };
}
