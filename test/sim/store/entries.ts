import { createHash } from 'node:crypto';
import type { Counts, EntryTable, LogCursor } from '#app/ports/entry-table.ts';
import type { EntryKeeper } from '#store/log-writer.ts';
import type { LogRows } from '#store/sequencer.ts';
import type { EntryRow, Memory } from './memory.ts';
import type { Transaction } from './transaction.ts';

const stored = ({ id, index, at, type, body }: EntryRow) => ({ id, index, at, type, body });
const newest = (a: EntryRow, b: EntryRow) => (b.index ?? Infinity) - (a.index ?? Infinity) || b.arrival - a.arrival;

function isBeyond({ index, arrival }: EntryRow, cursor: LogCursor | null): boolean {
  if (cursor === null || (index !== null && index < cursor.below)) return true;
  return cursor.arrivedBefore !== null && arrival < cursor.arrivedBefore;
}

export function entryTable(tx: Transaction): EntryTable {
  const { entries, logState, tiles } = tx.tables;
  return {
    counts: () => tx.run('entries.counts', () => counts(tx)),
    from: (index, limit) => tx.run('entries.from', () => tx.all(entries).filter((row) => row.index !== null && row.index >= index).sort((a, b) => newest(b, a)).slice(0, limit).map(stored)),
    list: (filter, limit, cursor) => tx.run('entries.list', () => {
      const rows = tx.all(entries).filter((row) =>
      (filter.grant === undefined || row.about.grant === filter.grant)
      && (filter.request === undefined || row.about.request === filter.request)
      && (filter.principal === undefined || row.about.principal === filter.principal)
      && (filter.type === undefined || row.type === filter.type)
      && isBeyond(row, cursor)).sort(newest).slice(0, limit);
      const last = rows.length < limit ? undefined : rows.at(-1);
      const next = last && (last.index === null ? { below: tx.get(logState, 'one')?.size ?? 0, arrivedBefore: last.arrival } : { below: last.index, arrivedBefore: null });
      return { entries: rows.map(stored), next: next ?? null };
    }),
    numbersOf: (grant, requests, size, limit) => tx.run('entries.numbersOf', () => tx.all(entries)
      .filter(({ about }) => about.grant === grant || requests.some((id) => id === about.request))
      .flatMap(({ index }) => (index !== null && index < size ? [index] : []))
      .sort((a, b) => a - b)
      .slice(0, limit)),
    head: () => tx.run('entries.head', () => tx.get(logState, 'one') ?? { size: 0, checkpoint: null }),
    tile: (level, number) => tx.run('entries.tile', () => tx.get(tiles, `${level} ${number}`)),
  };
}

function counts(tx: Transaction): Counts {
  const grants: Partial<Record<string, number>> = {};
  const live = tx.live(tx.tables.grants).filter(({ state }) => state !== 'ended');
  for (const { state } of live) grants[state] = (grants[state] ?? 0) + 1;
  return {
    grants,
    overdue: live.filter(({ overdueAt }) => overdueAt !== null).length,
    sessions: tx.live(tx.tables.sessions).filter(({ state }) => state !== 'ended').length,
    logSize: tx.get(tx.tables.logState, 'one')?.size ?? 0,
    unreachableTargets: tx.all(tx.tables.targets).filter(({ target, health }) => health.unreachableSince !== null && target.retiredAt === null).length,
  };
}

/** Where src/store/log-writer.ts keeps entries. */
export function entryKeeper(tx: Transaction, memory: Memory): EntryKeeper {
  const { subjectKeys, entries } = tx.tables;
  return {
    subjectKeys: (subjects) => tx.run('log.subjectKeys', () => new Map(subjects.flatMap((subject) => {
      const sealed = tx.get(subjectKeys, subject)?.sealed ?? null;
      return sealed === null ? [] : [[subject, sealed] as const];
    }))),
    insert: (written) => tx.run('log.insert', async () => {
      for (const entry of written) {
        const about = { grant: entry.about('grant'), request: entry.about('request'), session: entry.about('session'), principal: entry.about('principal') };
        await tx.insert(entries, entry.id, { id: entry.id, arrival: ++memory.arrivals, at: entry.at, type: entry.type, body: entry.body, about, index: null, leaf: null });
      }
    }),
  };
}

/** What src/store/sequencer.ts asks of the log's rows. */
export function logRows(tx: Transaction, grew: (size: number) => void): LogRows {
  const { entries, logState, tiles } = tx.tables;
  return {
    holdSize: () => tx.run('log.holdSize', () => (tx.tryLock(logState, 'one') ? (tx.get(logState, 'one')?.size ?? null) : null)),
    number: (size, most) => tx.run('log.number', async () => {
      const waiting = tx.live(entries).filter((row) => row.index === null).sort((a, b) => a.arrival - b.arrival).slice(0, most);
      const leaves: Uint8Array[] = [];
      for (const [place, row] of waiting.entries()) {
        const leaf = createHash('sha256').update('\0').update(row.body).digest();
        await tx.lock(entries, row.id);
        tx.put(entries, row.id, { ...row, index: size + place, leaf });
        leaves.push(leaf);
      }
      return leaves;
    }),
    edge: () => tx.run('log.edge', () => {
      const edge: Uint8Array[] = [];
      for (const key of [...tiles.rows.keys()].sort((a, b) => Number(a.split(' ')[0]) - Number(b.split(' ')[0]))) {
        const hashes = tx.get(tiles, key);
        if (hashes === null || hashes.length === 8192) continue;
        while (edge.length < Number(key.split(' ')[0])) edge.push(new Uint8Array());
        edge.push(hashes);
      }
      return edge;
    }),
    keep: (grown, checkpoint) => tx.run('log.keep', async () => {
      for (const tile of grown.tiles) await tx.upsert(tiles, `${tile.level} ${tile.index}`, () => tile.bytes);
      tx.put(logState, 'one', { size: grown.size, checkpoint });
      grew(grown.size);
    }),
  };
}
