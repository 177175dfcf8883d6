import type { EntryFilter, EntryTable, LogCursor, LogPage, StoredEntry } from '#app/ports/entry-table.ts';
import type { GrantId, RequestId } from '#domain/id.ts';
import { countLive } from './count-live.ts';
import { Conditions, type Sql } from './sql.ts';

const ENTRY = 'id, index::float8 as index, at, type, body';
type EntryRow = StoredEntry & { readonly id: string };

export function entryTable(sql: Sql): EntryTable {
  return {
    counts: () => countLive(sql),
    from: (index, limit) => sql.rows<EntryRow>(
      `select ${ENTRY} from brevet.log_entries where index >= $1 order by log_entries.index limit $2`, [index, limit]),
    list: (filter, limit, cursor) => list(sql, filter, limit, cursor),
    numbersOf: (grant, requests, size, limit) => numbersOf(sql, grant, requests, size, limit),
    head: async () => {
      const head = await sql.row<{ size: number; checkpoint: string | null }>(
        'select size::float8 as size, checkpoint from brevet.log_state');
      return head ?? { size: 0, checkpoint: null };
    },
    tile: async (level, number) => (await sql.row<{ hashes: Uint8Array }>(
      'select hashes from brevet.log_tiles where level = $1 and number = $2', [level, number]))?.hashes ?? null,
  };
}

interface Listed extends StoredEntry {
  readonly arrival: number;
  /** How many had a number when this was read. */
  readonly size: number;
}

async function list(sql: Sql, filter: EntryFilter, limit: number, cursor: LogCursor | null): Promise<LogPage> {
  const where = new Conditions()
    .add('grant_id = $', filter.grant)
    .add('request_id = $', filter.request)
    .add('principal_id = $', filter.principal)
    .add('type = $', filter.type);
  if (cursor?.arrivedBefore === null) where.add('index < $', cursor.below);
  else if (cursor) {
    const [below, arrived] = [where.parameter(cursor.below), where.parameter(cursor.arrivedBefore)];
    where.when(true, `(index < ${below} or arrival < ${arrived} and (index is null or index >= ${below}))`);
  }
  const most = where.parameter(limit);
  const rows = await sql.rows<Listed & { id: string }>(
    `select ${ENTRY}, arrival::float8 as arrival, (select size::float8 from brevet.log_state) as size
       from brevet.log_entries where ${where} order by log_entries.index desc, log_entries.arrival desc limit ${most}`, where.values);
  return { entries: rows.map(({ id, index, at, type, body }) => ({ id, index, at, type, body })), next: rows.length < limit ? null : after(rows.at(-1)) };
}

function after(last: Listed | undefined): LogCursor | null {
  if (!last) return null;
  return last.index === null ? { below: last.size, arrivedBefore: last.arrival } : { below: last.index, arrivedBefore: null };
}

/** Two looks at two indexes: as one condition with "or" they would be none. */
async function numbersOf(sql: Sql, grant: GrantId, requests: readonly RequestId[], size: number, limit: number): Promise<readonly number[]> {
  const rows = await sql.rows<{ index: number }>(
    `select index::float8 as index from (
       select index from brevet.log_entries where grant_id = $1 and index < $3
       union select index from brevet.log_entries where request_id = any($2) and index < $3) theirs
      order by theirs.index limit $4`, [grant, requests, size, limit]);
  return rows.map(({ index }) => index);
}
