import type { KeyHolder, RootKeyTable, SealedCount, SealedValue } from '#app/ports/root-keys.ts';
import { SEALED_COLUMNS, sealedColumn } from './sealed-columns.ts';
import type { Sql } from './sql.ts';

/** Bytes in front of a sealed value that a rewrap replaces; what follows them is the payload (src/secrets/sealer.ts). */
const HEADER = 69;

export function rootKeyTable(sql: Sql, now: Date): RootKeyTable {
  return {
    kinds: SEALED_COLUMNS.map(({ kind }) => kind),
    known: async () => (await sql.rows<{ id: string }>('select id from brevet.root_keys order by ordinal')).map(({ id }) => id),
    bringIn: async (id) => {
      await sql.run('insert into brevet.root_keys (id, in_force_since) values ($1, $2) on conflict (id) do nothing', [id, now]);
    },
    // Foreign keys of every sealed column stand in its way for as long as anything is under it.
    forget: async (id) => {
      await sql.run('delete from brevet.root_keys where id = $1', [id]);
    },
    ...holders(sql, now),
    counts: async () => (await Promise.all(SEALED_COLUMNS.map(({ kind, table, under }) => sql.rows<SealedCount>(
      `select $1::text as kind, ${under} as under, count(*)::integer as count from brevet.${table} where ${under} is not null group by 2 order by 2`, [kind])))).flat(),
    outdated: (kind, newest, after, limit) => outdated(sql, kind, newest, after, limit),
    rewrap: (value, next) => rewrap(sql, value, next),
  };
}

function holders(sql: Sql, now: Date): Pick<RootKeyTable, 'hold' | 'release' | 'lockHolders' | 'holders'> {
  return {
    hold: async ({ server, host, keys, sealsUnder }) => {
      await sql.run(
        `insert into brevet.key_holders (server, host, keys, seals_under, seen_at) values ($1, $2, $3, $4, $5)
         on conflict (server) do update set keys = excluded.keys, seals_under = excluded.seals_under, seen_at = excluded.seen_at`,
        [server, host, keys, sealsUnder, now]);
    },
    release: async (server) => {
      await sql.run(`delete from brevet.key_holders where server = $1 or seen_at < $2::timestamptz - interval '1 day'`, [server, now]);
    },
    lockHolders: async () => {
      await sql.run('lock table brevet.key_holders in share row exclusive mode');
    },
    holders: (withinMs) => sql.rows<KeyHolder & { server: string }>(
      `select server, host, keys, seals_under as "sealsUnder" from brevet.key_holders
        where seen_at > $1::timestamptz - $2 * interval '1 millisecond' order by host, server`, [now, withinMs]),
  };
}

async function outdated(sql: Sql, kind: string, newest: string, after: SealedValue['row'] | null, limit: number): Promise<readonly SealedValue[]> {
  const { table, column, under, key, identity } = sealedColumn(kind);
  const columns = key.join(', ');
  const beyond = after === null ? '' : `and (${columns}) > (${key.map((_, at) => `$${at + 3}`).join(', ')})`;
  const rows = await sql.rows<Record<string, string | number> & { sealed_value: never }>(
    `select ${columns}, ${column} as sealed_value from brevet.${table}
      where ${under} <> $1 ${beyond} order by ${columns} limit $2`, [newest, limit, ...(after ?? [])]);
  return rows.map((each) => {
    const row = key.map((name) => each[name] as string | number);
    return { kind, row, identity: identity(row), sealed: each.sealed_value as Uint8Array };
  });
}

/** Only the header is compared: it holds a random nonce and the wrapped key, so no two values share one. */
async function rewrap(sql: Sql, { kind, row, sealed }: SealedValue, next: Uint8Array): Promise<boolean> {
  const { table, column, key } = sealedColumn(kind);
  const where = key.map((name, at) => `${name} = $${at + 3}`).join(' and ');
  return (await sql.run(
    `update brevet.${table} set ${column} = $1::bytea || substring(${column} from ${HEADER + 1})
      where ${where} and substring(${column} for ${HEADER}) = $2`,
    [next.subarray(0, HEADER), sealed.subarray(0, HEADER), ...row])) === 1;
}
