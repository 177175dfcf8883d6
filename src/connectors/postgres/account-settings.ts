import { Refusal } from '#domain/refusal.ts';
import type { TargetSession } from './connect.ts';
import { sqlstateOf } from './failure.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import type { Role } from './marker.ts';
import { plainText } from '../plain-text.ts';

/** `ALTER ROLE ... [IN DATABASE ...] SET`: by database (`''` for every one), by name. */
export type Settings = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** More than this, or longer in all, is no role that people work as. */
const MOST = { count: 1000, bytes: 1_000_000 };

const OF_ACCOUNT = `pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) setting
  where s.setrole = $1 and (s.setdatabase = 0 or d.oid is not null)`;

/** `null` when they are more, or longer, than can be read and kept. */
export async function readSettings(session: TargetSession, account: number): Promise<Settings | null> {
  const [size] = await session.rows(`select count(*)::int as count, coalesce(sum(octet_length(setting)), 0)::float8 as bytes from ${OF_ACCOUNT}`, [account]);
  if (Number(size?.['count']) > MOST.count || Number(size?.['bytes']) > MOST.bytes) return null;
  const rows = await session.rows(`select coalesce(d.datname, '') as database, setting from ${OF_ACCOUNT} order by 1, 2`, [account]);
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

export interface SettingsPutBack {
  /** What was found changed and is as it was again; `all` when it was too much to tell apart. */
  readonly changed: readonly SettingChange[] | 'all';
  /** What is left to do, and why. */
  readonly problems: readonly string[];
}

/**
 * Each by itself: one that the server does not let Brevet set keeps no other from being put back. `change` runs a
 * statement on the account.
 */
export async function putSettingsBack(session: TargetSession, account: Role, was: Settings, change: (sql: string) => Promise<void>): Promise<SettingsPutBack> {
  const problems: string[] = [];
  const done: SettingChange[] = [];
  const now = await readSettings(session, account.oid);
  const left = now ?? (await resetEverywhere(session, account, change, problems));
  const databases = (await session.rows('select datname from pg_database')).map((row) => String(row['datname']));
  const found = differences(was, left, databases);
  if (now !== null) await loadLibraries(session, found.map(({ name }) => name));
  for (const one of found) {
    try {
      await change(settingSql(account.name, one));
      done.push(one);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      problems.push(`${plainText(one.name)}: ${error.message}`);
      // The next would wait as long, or in vain.
      if (error.code === 'target_unreachable' || sqlstateOf(error) === '55P03') break;
    }
  }
  return { changed: now === null ? 'all' : done, problems };
}

/** Answers what could not be reset, or nothing where that is still too much: then what was is set over it. */
async function resetEverywhere(session: TargetSession, account: Role, change: (sql: string) => Promise<void>, problems: string[]): Promise<Settings> {
  await loadLibraries(session, [...LOADED_BY.keys()].map((language) => `${language}.`));
  const places = await session.rows(`select distinct coalesce(d.datname, '') as database from ${OF_ACCOUNT} order by 1`, [account.oid]);
  for (const { database } of places) await change(`${whereSql(account.name, String(database))} reset all`);
  const left = await readSettings(session, account.oid);
  if (left === null) problems.push('the account has more settings than can be put back one by one, also after a reset of all');
  return left ?? {};
}

/**
 * A parameter of a library's is known only where that is loaded, and what is not known only a superuser may change. Of
 * procedural languages that may be used by everybody a block without content loads it.
 */
const LOADED_BY: ReadonlyMap<string, string> = new Map([['plpgsql', 'do language plpgsql $$ begin end $$'], ['plperl', "do language plperl ''"]]);

async function loadLibraries(session: TargetSession, names: readonly string[]): Promise<void> {
  for (const [language, sql] of LOADED_BY) {
    if (session.superuser || !names.some((name) => name.toLowerCase().startsWith(`${language}.`))) continue;
    // Without it in this database, the refusal of the change itself tells.
    await session.rows(sql).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
    });
  }
}

function whereSql(role: string, database: string): string {
  return `alter role ${quoteIdentifier(role)}${database === '' ? '' : ` in database ${quoteIdentifier(database)}`}`;
}

function settingSql(role: string, { database, name, was }: SettingChange): string {
  const where = whereSql(role, database);
  const parameter = name.split('.').map(quoteIdentifier).join('.');
  return was === null ? `${where} reset ${parameter}` : `${where} set ${parameter} to ${valueSql(name, was)}`;
}

/** The parameters whose lists are kept as text with quotes (GUC_LIST_QUOTE; the list stands in pg_dump's `dumputils.c` too). */
const LISTS = ['local_preload_libraries', 'search_path', 'session_preload_libraries', 'shared_preload_libraries', 'temp_tablespaces', 'unix_socket_directories'];

/** In one pair of quotes, such a list would become a single name. */
function valueSql(name: string, value: string): string {
  if (!LISTS.includes(name)) return quoteLiteral(value);
  const items = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
  return items.length === 0 ? "''" : items.map(quoteLiteral).join(', ');
}
