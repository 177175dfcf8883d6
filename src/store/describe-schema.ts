/**
 * Writes down the schema `brevet` of a database as text, so that what the migrations add up to can be read and compared
 * in one file. It asks the catalogue itself: `pg_dump` must be as new as the server, and its text changes between
 * versions. The same on PostgreSQL 15 to 18: what newer versions count additionally (not-null constraints) is left out.
 */
import type { ClientBase } from 'pg';

/** What the text is made of, in this order. Each query answers one column `text`, in a stable order. */
const SECTIONS: readonly string[] = [
  // Enumerations and domains.
  `select format('create type %s as enum (%s);', t.oid::regtype, string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)) as text
     from pg_type t join pg_enum e on e.enumtypid = t.oid
    where t.typnamespace = 'brevet'::regnamespace group by t.oid, t.typname order by t.typname collate "C"`,
  `select format('create domain %s as %s%s%s;', t.oid::regtype, format_type(t.typbasetype, t.typtypmod), case when t.typnotnull then ' not null' end,
            (select string_agg(' ' || pg_get_constraintdef(c.oid), '' order by c.conname collate "C") from pg_constraint c where c.contypid = t.oid and c.contype = 'c')) as text
     from pg_type t where t.typnamespace = 'brevet'::regnamespace and t.typtype = 'd' order by t.typname collate "C"`,
  // Sequences that are not part of an identity or serial column.
  `select format('create sequence %s as %s increment %s;', c.oid::regclass, format_type(s.seqtypid, null), s.seqincrement) as text
     from pg_sequence s join pg_class c on c.oid = s.seqrelid
    where c.relnamespace = 'brevet'::regnamespace and not exists (select from pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
    order by c.relname collate "C"`,
  // Tables with their columns and constraints, then their indexes and triggers.
  `select format(E'create%s table %s (\\n%s\\n)%s;%s%s', case c.relpersistence when 'u' then ' unlogged' end, c.oid::regclass,
            concat_ws(E',\\n', columns.text, constraints.text), case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end, indexes.text, triggers.text) as text
     from pg_class c
     cross join lateral (
       select string_agg(format('  %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end,
                case when a.attidentity <> '' then format(' generated %s as identity', case a.attidentity when 'a' then 'always' else 'by default' end) end,
                case when d.adbin is not null then format(case when a.attgenerated = '' then ' default %s' else ' generated always as (%s) stored' end, pg_get_expr(d.adbin, d.adrelid)) end),
                E',\\n' order by a.attnum) as text
         from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) columns
     cross join lateral (
       select string_agg(format('  constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), E',\\n'
                order by position(k.contype::text in 'pufxc'), k.conname collate "C") as text
         from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'x', 'c')) constraints
     cross join lateral (
       select string_agg(format(E'\\n%s;', pg_get_indexdef(i.indexrelid)), '' order by i.indexrelid::regclass::text collate "C") as text
         from pg_index i where i.indrelid = c.oid and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))) indexes
     cross join lateral (
       select string_agg(format(E'\\n%s;', pg_get_triggerdef(t.oid)), '' order by t.tgname collate "C") as text
         from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) triggers
    where c.relnamespace = 'brevet'::regnamespace and c.relkind in ('r', 'p') order by c.relname collate "C"`,
  // Columns that are not looked at for statistics.
  `select format('alter table %s alter column %I set statistics %s;', c.oid::regclass, a.attname, a.attstattarget) as text
     from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'brevet'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0
    order by c.relname collate "C", a.attnum`,
  // Views by their columns: versions print the query differently.
  `select format('create %s %s (%s);', case c.relkind when 'm' then 'materialized view' else 'view' end, c.oid::regclass,
            (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0)) as text
     from pg_class c where c.relnamespace = 'brevet'::regnamespace and c.relkind in ('v', 'm') order by c.relname collate "C"`,
  `select rtrim(pg_get_functiondef(p.oid), E'\\n') || ';' as text
     from pg_proc p where p.pronamespace = 'brevet'::regnamespace and p.prokind in ('f', 'p') order by p.proname collate "C", p.oid::regprocedure::text collate "C"`,
  // What was granted to anybody but the owner.
  `select format('grant %s on %s to %s;', string_agg(lower(g.privilege_type), ', ' order by g.privilege_type), c.oid::regclass,
            case g.grantee when 0 then 'public' else g.grantee::regrole::text end) as text
     from pg_class c cross join lateral aclexplode(c.relacl) g
    where c.relnamespace = 'brevet'::regnamespace and g.grantee <> c.relowner group by c.oid, g.grantee order by c.oid::regclass::text collate "C", 1`,
];

/** The text of the schema, ending in a line feed. Runs in a read-only transaction of its own. */
export async function describeSchema(client: ClientBase): Promise<string> {
  await client.query('begin read only');
  try {
    // With an empty path every name is written in full, whoever asks.
    await client.query(`set local search_path = ''`);
    const parts: string[] = [];
    for (const sql of SECTIONS) {
      const { rows } = await client.query<{ text: string }>(sql);
      parts.push(...rows.map((row) => row.text));
    }
    return `${parts.join('\n\n')}\n`;
  } finally {
    await client.query('rollback');
  }
}
