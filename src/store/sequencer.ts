import type { Pool } from 'pg';
import type { Journal, Monotonic } from '#app/ports/runtime.ts';
import type { Store } from '#app/ports/store.ts';
import type { GrownTree, LogTree, SignCheckpoint } from '#app/ports/tree.ts';
import { IDLE_MS, withConnection } from './connection.ts';
import { sqlOn, type Sql } from './sql.ts';

export interface SequencerOptions {
  readonly roll: LogRoll;
  readonly store: Pick<Store, 'listen'>;
  readonly tree: LogTree;
  readonly sign: SignCheckpoint;
  readonly journal: Journal;
  readonly monotonic: Monotonic;
  /** Most entries in one batch. Default 5,000. */
  readonly batch?: number;
  /** How long at least from one checkpoint to the next. Default 100 ms. */
  readonly everyMs?: number;
}

/** The log's rows, in one transaction: PostgreSQL's here, the simulator's there. */
export interface LogRoll {
  transaction<T>(work: (rows: LogRows) => Promise<T>): Promise<T>;
}

export interface LogRows {
  /** The size of the log, held until the end of the transaction; `null` when somebody else holds it. */
  holdSize(): Promise<number | null>;
  /** Gives waiting entries their numbers from `size` on, in the order of arrival; answers their leaves in that order. */
  number(size: number, most: number): Promise<readonly Uint8Array[]>;
  /** For each level from 0 the hashes of its partial tile; empty where the last one is full. */
  edge(): Promise<readonly Uint8Array[]>;
  keep(grown: GrownTree, checkpoint: string): Promise<void>;
}

/** How long entries of other processes wait at most, since only this one's wake it. */
const POLL_MS = 500;
const PAUSE_AFTER_FAILURE_MS = 1_000;
/** For one statement of a batch. */
const STATEMENT_MS = 60_000;

/**
 * Gives entries their numbers, from 0 and without gaps, and signs a checkpoint over them: at most half a second after
 * the commit, later only while more come than it can take. Runs until `signal` aborts. Every process may run one:
 * whoever holds the row `log_state` appends, the others find it held and wait.
 */
export async function runSequencer(options: SequencerOptions, signal: AbortSignal): Promise<void> {
  const { monotonic, journal, batch = 5_000, everyMs = 100 } = options;
  let wake = new AbortController();
  let waiting = true;
  const rouse = () => {
    waiting = true;
    wake.abort('woken');
  };
  const stop = options.store.listen('log', rouse);
  signal.addEventListener('abort', rouse);
  try {
    while (!signal.aborted) {
      wake = new AbortController();
      waiting = false;
      try {
        const taken = await sequenceBatch(options);
        if (taken !== null && taken >= batch) continue;
        await monotonic.sleep(everyMs, signal);
        if (!waiting) await monotonic.sleep(POLL_MS - everyMs, wake.signal);
      } catch (error) {
        journal.error('the log could not be sequenced', { error: String(error) });
        await monotonic.sleep(PAUSE_AFTER_FAILURE_MS, signal);
      }
    }
  } finally {
    stop();
    signal.removeEventListener('abort', rouse);
  }
}

/**
 * Takes one batch, in one transaction: numbers, tiles and the checkpoint that covers them. Answers how many it took;
 * `null` when another process is at it.
 */
export function sequenceBatch({ roll, tree, sign, batch = 5_000 }: Pick<SequencerOptions, 'roll' | 'tree' | 'sign' | 'batch'>): Promise<number | null> {
  return roll.transaction(async (rows) => {
    const size = await rows.holdSize();
    if (size === null) return null;
    const leaves = await rows.number(size, batch);
    if (leaves.length === 0) return 0;
    const grown = tree.append({ size, edge: await rows.edge() }, leaves);
    if (grown.size !== size + leaves.length) throw new Error('the tree did not grow by what was appended');
    await rows.keep(grown, sign(grown.size, grown.root));
    return leaves.length;
  });
}

export function sqlRoll(pool: Pool): LogRoll {
  return {
    transaction: (work) => withConnection(pool, async (client) => {
      await client.query(`begin isolation level read committed; set local search_path = pg_catalog;
        set local statement_timeout = ${STATEMENT_MS}; set local idle_in_transaction_session_timeout = ${IDLE_MS}`);
      const answer = await work(rowsOn(sqlOn(client, STATEMENT_MS + 5_000)));
      await client.query('commit');
      return answer;
    }),
  };
}

function rowsOn(sql: Sql): LogRows {
  return {
    holdSize: async () => (await sql.row<{ size: number }>('select size::float8 as size from brevet.log_state for no key update skip locked'))?.size ?? null,
    number: (size, most) => numberEntries(sql, size, most),
    edge: () => edgeOf(sql),
    keep: (grown, checkpoint) => keep(sql, grown, checkpoint),
  };
}

async function keep(sql: Sql, grown: GrownTree, checkpoint: string): Promise<void> {
  await sql.run(
    `insert into brevet.log_tiles (level, number, hashes)
     select t.level, t.number, t.hashes from unnest($1::integer[], $2::bigint[], $3::bytea[]) with ordinality as t (level, number, hashes, turn)
      order by t.turn
     on conflict (level, number) do update set hashes = excluded.hashes`,
    [grown.tiles.map((t) => t.level), grown.tiles.map((t) => t.index), grown.tiles.map((t) => Buffer.from(t.bytes))]);
  await sql.run('update brevet.log_state set size = $1, checkpoint = $2, signed_at = clock_timestamp()', [grown.size, checkpoint]);
  await sql.run(`select pg_notify('brevet_log', $1)`, [String(grown.size)]);
}

/**
 * In the order of arrival. An entry that committed late, after one that arrived after it, comes into the next batch:
 * of two changes of which one saw the other, the one seen has the lower number. The leaf is that of RFC 6962,
 * SHA-256(0x00 || body), computed where the body is.
 */
async function numberEntries(sql: Sql, size: number, batch: number): Promise<readonly Uint8Array[]> {
  const rows = await sql.rows<{ index: number; leaf: Uint8Array }>(
    `with waiting as materialized (
       select id, row_number() over (order by arrival) as place
         from (select id, arrival from brevet.log_entries where index is null order by arrival limit $2) first)
     update brevet.log_entries e
        set index = $1::bigint + waiting.place - 1, leaf = sha256('\\x00'::bytea || convert_to(e.body, 'UTF8'))
       from waiting where e.id = waiting.id
     returning e.index::float8 as index, e.leaf`, [size, batch]);
  return rows.toSorted((a, b) => a.index - b.index).map(({ leaf }) => leaf);
}

/** A level has one partial tile at most, and an index finds just those. */
async function edgeOf(sql: Sql): Promise<readonly Uint8Array[]> {
  const rows = await sql.rows<{ level: number; hashes: Uint8Array }>(
    'select level, hashes from brevet.log_tiles where length(hashes) < 8192 order by level');
  const edge: Uint8Array[] = [];
  for (const { level, hashes } of rows) {
    while (edge.length < level) edge.push(new Uint8Array());
    edge.push(hashes);
  }
  return edge;
}
