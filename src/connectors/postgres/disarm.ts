import type { Json } from '#domain/json.ts';
import { entriesOf } from './access-list.ts';
import type { TargetSession } from './connect.ts';
import { quoteIdentifier, quoteQualified } from './identifier.ts';
import { plainText } from '../plain-text.ts';

/** So many statements are sent at once. */
const AT_ONCE = 200;

/**
 * Takes from what an account owns whatever would run by itself, or because somebody else does their work, and every access
 * of others to it. In the caller's transaction, in the session's database. Answers what was changed in ways that matter.
 */
export async function disarm(session: TargetSession, oid: number): Promise<readonly Json[]> {
  const residue = [...(await disableOnOthersTables(session, oid)), ...(await dropForeignKeys(session, oid)), ...(await quieten(session, oid))];
  const routines = await session.rows('select oid::regprocedure::text as sql from pg_proc where proowner = $1 and prosecdef', [oid]);
  await run(session, routines.map((row) => `alter routine ${String(row['sql'])} security invoker`));
  await closeToOthers(session, oid);
  return residue;
}

async function run(session: TargetSession, statements: readonly string[]): Promise<void> {
  for (let start = 0; start < statements.length; start += AT_ONCE) await session.rows(statements.slice(start, start + AT_ONCE).join('; '));
}

/**
 * Triggers on other people's tables that call something of the account's, by their function or in their WHEN: it would run
 * as whoever changes the table.
 */
async function disableOnOthersTables(session: TargetSession, oid: number): Promise<readonly Json[]> {
  const planted = await session.rows(
    `select n.nspname, c.relname, t.tgname from pg_trigger t
     join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where c.relowner <> $1 and not t.tgisinternal and t.tgenabled <> 'D' and exists (
       select from pg_depend d join pg_shdepend s on s.classid = d.refclassid and s.objid = d.refobjid
       where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and s.refclassid = 'pg_authid'::regclass and s.refobjid = $1
         and s.deptype = 'o' and s.dbid = (select oid from pg_database where datname = current_database()))
     order by 1, 2, 3`, [oid],
  );
  await run(session, planted.map((row) => `alter table ${tableOf(row)} disable trigger ${quoteIdentifier(String(row['tgname']))}`));
  return planted.map((row) => ({ kind: 'trigger', name: plainText(row['tgname']), on: wordsOf(row), disabled: true }));
}

/**
 * Foreign keys from the account's tables to those of others: what they do when a row there goes is done with the rights of
 * the referencing table's owner, by the hand of anybody who may delete.
 */
async function dropForeignKeys(session: TargetSession, oid: number): Promise<readonly Json[]> {
  const keys = await session.rows(
    `select n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid) as definition from pg_constraint k
     join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace join pg_class f on f.oid = k.confrelid
     where k.contype = 'f' and k.conparentid = 0 and c.relowner = $1 and f.relowner <> $1 order by 1, 2, 3`, [oid],
  );
  await run(session, keys.map((row) => `alter table ${tableOf(row)} drop constraint ${quoteIdentifier(String(row['conname']))}`));
  return keys.map((row) => ({ kind: 'foreign_key', name: plainText(row['conname']), on: wordsOf(row), definition: plainText(row['definition']), dropped: true }));
}

/** Triggers and rules on the account's own tables, and what autovacuum would evaluate: index and statistics expressions. */
async function quieten(session: TargetSession, oid: number): Promise<readonly Json[]> {
  const tables = await session.rows(
    `select n.nspname, c.relname, r.rules,
       c.relkind in ('r', 'p', 'f') and exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D') as triggers,
       c.relkind in ('r', 'm') and (
         exists (select from pg_index i where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null))
         or exists (select from pg_statistic_ext x where x.stxrelid = c.oid and to_jsonb(x)->>'stxexprs' is not null)) as expressions
     from pg_class c join pg_namespace n on n.oid = c.relnamespace,
       lateral (select array(select rulename::text from pg_rewrite where ev_class = c.oid and rulename <> '_RETURN' and ev_enabled <> 'D') as rules) r
     where c.relowner = $1 and c.relkind in ('r', 'p', 'f', 'm') and n.nspname !~ '^pg_(temp|toast)' order by 1, 2`, [oid],
  );
  const residue: Json[] = [];
  for (const row of tables) {
    const rules = (row['rules'] as readonly string[]).map((name) => `disable rule ${quoteIdentifier(name)}`);
    const [triggers, expressions] = [row['triggers'] === true, row['expressions'] === true];
    const changes = [...rules, ...(triggers ? ['disable trigger user'] : []), ...(expressions ? ['set (autovacuum_enabled = false)'] : [])];
    if (changes.length === 0) continue;
    await session.rows(`alter table ${tableOf(row)} ${changes.join(', ')}`);
    residue.push({ kind: 'code_on_own_table', on: wordsOf(row), rulesDisabled: rules.length, triggersDisabled: triggers, autovacuumDisabled: expressions });
  }
  return residue;
}

async function closeToOthers(session: TargetSession, oid: number): Promise<void> {
  const open = await session.rows(
    `select 'routine' as place, p.oid::regprocedure::text as routine, null::name as schema, null::name as name, a.grantee
     from pg_proc p, ${entriesOf("coalesce(p.proacl, acldefault('f', p.proowner))")} a where p.proowner = $1
     union
     select case c.relkind when 'S' then 'sequence' else 'table' end, null, n.nspname, c.relname, a.grantee
     from pg_class c join pg_namespace n on n.oid = c.relnamespace,
       lateral (select * from ${entriesOf('c.relacl')} union all select x.* from pg_attribute t, ${entriesOf('t.attacl')} x where t.attrelid = c.oid) a
     where c.relowner = $1 and c.relkind in ('r','p','v','m','f','S')
     union
     select 'schema', null, null, n.nspname, a.grantee from pg_namespace n, ${entriesOf('n.nspacl')} a where n.nspowner = $1`, [oid],
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

function tableOf(row: Readonly<Record<string, unknown>>): string {
  return quoteQualified({ schema: String(row['nspname']), name: String(row['relname']) });
}

function wordsOf(row: Readonly<Record<string, unknown>>): string {
  return plainText(`${String(row['nspname'])}.${String(row['relname'])}`);
}
