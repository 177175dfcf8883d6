import type { EntryFilter, EntryTable, StoredEntry } from '#app/ports/store.ts';
import { countLive } from './count-live.ts';
import { Conditions, type Sql } from './sql.ts';

const ENTRY = 'id, index::float8 as index, at, type, body';
type EntryRow = StoredEntry & { readonly id: string };

export function entryTable(sql: Sql): EntryTable {
  return {
    counts: () => countLive(sql),
    from: (index, limit) => sql.rows<EntryRow>(
      `select ${ENTRY} from brevet.log_entries where index >= $1 order by log_entries.index limit $2`, [index, limit]),
    list: (filter, limit, before) => list(sql, filter, limit, before),
    head: async () => {
      const head = await sql.row<{ size: number; checkpoint: string | null }>(
        'select size::float8 as size, checkpoint from brevet.log_state');
      return head ?? { size: 0, checkpoint: null };
    },
    tile: async (level, number) => (await sql.row<{ hashes: Uint8Array }>(
      'select hashes from brevet.log_tiles where level = $1 and number = $2', [level, number]))?.hashes ?? null,
  };
}

/**
 * Newest first: what has no number yet comes before everything that has, on the first page only, and takes no place of
 * those on it, since pages go on by number.
 */
async function list(sql: Sql, filter: EntryFilter, limit: number, before: number | null): Promise<readonly StoredEntry[]> {
  const where = new Conditions()
    .add('grant_id = $', filter.grant)
    .add('request_id = $', filter.request)
    .add('principal_id = $', filter.principal)
    .add('type = $', filter.type)
    .add('index < $', before ?? undefined);
  const most = where.parameter(limit);
  return sql.rows<EntryRow>(
    `select ${ENTRY} from brevet.log_entries where ${where} order by log_entries.index desc, arrival desc limit ${most}`, where.values);
}
