import { Refusal } from '#domain/refusal.ts';
import type { Row, TargetSession } from './connect.ts';
import { parseQualified } from './identifier.ts';
import { plainText } from '../plain-text.ts';
import { privilegeOf, type Privilege } from './privileges.ts';
import { COLUMN_VERBS, type Scope } from './scope.ts';

/** More privileges than this are a schema to split, or a target that lies. */
const MOST = 50_000;

/**
 * What a scope means on this target now: every privilege by itself. The session is in the scope's database.
 * @throws Refusal `target_refused` when something named does not exist
 */
export async function resolveScope(session: TargetSession, scope: Scope): Promise<readonly Privilege[]> {
  if (scope.database === null) return [];
  if (scope.verbs.includes('maintain') && session.version < 170_000) {
    throw new Refusal('target_refused', 'the target is older than PostgreSQL 17 and has no privilege "maintain"');
  }
  const tables = await tablesOf(session, scope);
  const columns = await columnsOf(session, scope);
  const routines = await routinesOf(session, scope);
  const inside = [...tables, ...columns, ...routines].map((row) => String(row['nspname'] ?? row['schema']));
  const schemas = await schemasOf(session, scope, inside);
  const [database] = await session.rows("select 'database' as place, oid, 0 as col, datname as name from pg_database where datname = current_database()");
  if (!database) throw new Refusal('target_refused', 'the target does not know its own database');
  const sequences = scope.verbs.includes('insert') ? await sequencesOf(session, tables, columns) : [];
  const columnVerbs = scope.verbs.filter((verb) => COLUMN_VERBS.includes(verb));
  const result = [
    privilegeOf({ ...database, verb: 'connect' }),
    ...schemas,
    ...tables.flatMap((row) => scope.verbs.map((verb) => privilegeOf({ ...row, verb }))),
    ...columns.flatMap((row) => columnVerbs.map((verb) => privilegeOf({ ...row, verb }))),
    ...sequences.map((row) => privilegeOf({ ...row, verb: 'usage' })),
    ...routines.map((row) => privilegeOf({ ...row, verb: 'execute' })),
  ];
  if (result.length > MOST) throw new Refusal('target_refused', `the scope means ${result.length} privileges on this target; at most ${MOST} are given`);
  return result;
}

const names = (list: readonly string[]) => list.map((text) => parseQualified(text) ?? { schema: '', name: text });

async function tablesOf(session: TargetSession, scope: Scope): Promise<readonly Row[]> {
  const single = names(scope.tables);
  const rows = await session.rows(
    `select 'table' as place, c.oid, 0 as col, n.nspname, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r','p','v','m','f')
       and (n.nspname = any($1) or (n.nspname, c.relname) in (select * from unnest($2::name[], $3::name[]))) order by c.oid`,
    [scope.schemas, single.map(({ schema }) => schema), single.map(({ name }) => name)],
  );
  const missing = single.findIndex((one) => !rows.some((row) => row['nspname'] === one.schema && row['name'] === one.name));
  if (missing >= 0) throw absent('table', scope.tables[missing]);
  return rows;
}

async function columnsOf(session: TargetSession, scope: Scope): Promise<readonly Row[]> {
  const wanted = Object.entries(scope.columns).flatMap(([table, columns]) => {
    const { schema, name } = parseQualified(table) ?? { schema: '', name: table };
    return columns.map((column) => ({ schema, name, column, table }));
  });
  if (wanted.length === 0) return [];
  const rows = await session.rows(
    `select 'column' as place, c.oid, t.attnum::int as col, n.nspname, c.relname as name, t.attname
     from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r','p','v','m','f') and t.attnum > 0 and not t.attisdropped
       and (n.nspname, c.relname, t.attname) in (select * from unnest($1::name[], $2::name[], $3::name[])) order by c.oid, t.attnum`,
    [wanted.map(({ schema }) => schema), wanted.map(({ name }) => name), wanted.map(({ column }) => column)],
  );
  const missing = wanted.find((one) => !rows.some((row) => row['nspname'] === one.schema && row['name'] === one.name && row['attname'] === one.column));
  if (missing) throw absent('column', `${missing.column} of ${missing.table}`);
  return rows;
}

async function routinesOf(session: TargetSession, scope: Scope): Promise<readonly Row[]> {
  const wanted = names(scope.functions);
  if (wanted.length === 0) return [];
  const rows = await session.rows(
    `select 'routine' as place, p.oid, 0 as col, n.nspname as schema, p.proname, p.oid::regprocedure::text as name
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where (n.nspname, p.proname) in (select * from unnest($1::name[], $2::name[])) order by p.oid`,
    [wanted.map(({ schema }) => schema), wanted.map(({ name }) => name)],
  );
  const missing = wanted.findIndex((one) => !rows.some((row) => row['schema'] === one.schema && row['proname'] === one.name));
  if (missing >= 0) throw absent('function', scope.functions[missing]);
  return rows;
}

/** Usage on every schema that something granted lies in, and `create` where the scope says so. */
async function schemasOf(session: TargetSession, scope: Scope, inside: readonly string[]): Promise<readonly Privilege[]> {
  const used = new Set([...scope.schemas, ...scope.createIn, ...inside]);
  const rows = await session.rows(
    "select 'schema' as place, oid, 0 as col, nspname as name from pg_namespace where nspname = any($1) order by oid", [[...used]],
  );
  const missing = [...used].find((schema) => !rows.some((row) => row['name'] === schema));
  if (missing !== undefined) throw absent('schema', missing);
  return rows.flatMap((row) => [
    privilegeOf({ ...row, verb: 'usage' }),
    ...(scope.createIn.includes(String(row['name'])) ? [privilegeOf({ ...row, verb: 'create' })] : []),
  ]);
}

/** The sequences from which the defaults of these tables' columns draw. Identity columns need no privilege. */
async function sequencesOf(session: TargetSession, tables: readonly Row[], columns: readonly Row[]): Promise<readonly Row[]> {
  const oids = [...tables, ...columns].map((row) => row['oid']);
  return session.rows(
    `select distinct 'sequence' as place, s.oid, 0 as col, n.nspname, s.relname as name
     from pg_attrdef d
     join pg_depend dep on dep.classid = 'pg_attrdef'::regclass and dep.objid = d.oid and dep.refclassid = 'pg_class'::regclass
     join pg_class s on s.oid = dep.refobjid and s.relkind = 'S'
     join pg_namespace n on n.oid = s.relnamespace
     where d.adrelid = any($1::oid[]) order by s.oid`, [oids],
  );
}

function absent(what: string, name: string | undefined): Refusal {
  return new Refusal('target_refused', `there is no ${what} ${plainText(name ?? '')} on the target`, {
    hint: 'Names are exact: PostgreSQL folds unquoted names to lower case, a scope does not.',
  });
}
