import type { TargetSession } from './connect.ts';
import { Refusal } from '#domain/refusal.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';

/** `ALTER ROLE ... [IN DATABASE ...] SET`: by database (`''` for every one), by name. */
export type Settings = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** More than this is no role that people work as. */
const MOST = 1000;

export async function readSettings(session: TargetSession, account: number): Promise<Settings> {
  const rows = await session.rows(
    `select coalesce(d.datname, '') as database, setting from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) setting
     where s.setrole = $1 and (s.setdatabase = 0 or d.oid is not null) order by 1, 2 limit ${MOST + 1}`, [account],
  );
  if (rows.length > MOST) throw new Refusal('target_refused', `the account has more than ${MOST} settings of its own`);
  const found: Record<string, Record<string, string>> = {};
  for (const row of rows) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(String(row['setting'])) ?? [];
    (found[String(row['database'])] ??= {})[name] = value;
  }
  return found;
}

export interface SettingChange {
  readonly database: string;
  readonly name: string;
  /** What it was; `null` when it was not set. */
  readonly was: string | null;
}

/** What is to be done so that `now` becomes `was`. Of databases that exist no more nothing is left to put back. */
export function differences(was: Settings, now: Settings, databases: readonly string[]): readonly SettingChange[] {
  const places = new Set([...Object.keys(was), ...Object.keys(now)].filter((database) => database === '' || databases.includes(database)));
  return [...places].flatMap((database) => {
    const [before, after] = [was[database] ?? {}, now[database] ?? {}];
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].filter((name) => before[name] !== after[name]).map((name) => ({ database, name, was: before[name] ?? null }));
  });
}

export async function putSettingBack(session: TargetSession, role: string, { database, name, was }: SettingChange): Promise<void> {
  const where = `alter role ${quoteIdentifier(role)}${database === '' ? '' : ` in database ${quoteIdentifier(database)}`}`;
  const parameter = name.split('.').map(quoteIdentifier).join('.');
  await session.rows(was === null ? `${where} reset ${parameter}` : `${where} set ${parameter} to ${valueSql(name, was)}`);
}

/** The parameters whose lists are kept as text with quotes (GUC_LIST_QUOTE; the list stands in pg_dump's `dumputils.c` too). */
const LISTS = ['local_preload_libraries', 'search_path', 'session_preload_libraries', 'shared_preload_libraries', 'temp_tablespaces', 'unix_socket_directories'];

/** In one pair of quotes, such a list would become a single name. */
function valueSql(name: string, value: string): string {
  if (!LISTS.includes(name)) return quoteLiteral(value);
  const items = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
  return items.length === 0 ? "''" : items.map(quoteLiteral).join(', ');
}
