import type { KeyHolder, RootKeyTable, SealedValue } from '#app/ports/root-keys.ts';
import { SEALED_COLUMNS, sealedColumn, type SealedColumn } from '#store/sealed-columns.ts';
import { violates } from './database-error.ts';
import type { Tables } from './memory.ts';
import { byText } from './ordering.ts';
import type { Table } from './table.ts';
import type { Transaction } from './transaction.ts';

/** Bytes in front of a sealed value that a rewrap replaces (src/store/root-key-table.ts). */
const HEADER = 69;
const DAY_MS = 86_400_000;
const HOLDERS = 'key_holders, the whole of it';

type SealedRow = Readonly<Record<string, unknown>>;
type Key = SealedValue['row'];

/** The generated column: what stands in the header. */
const underOf = (sealed: Uint8Array) => Buffer.from(sealed.subarray(1, 9)).toString('hex');

export function rootKeyTable(tx: Transaction): RootKeyTable {
  const { rootKeys } = tx.tables;
  return {
    kinds: SEALED_COLUMNS.map(({ kind }) => kind),
    known: () => tx.run('rootKeys.known', () => tx.all(rootKeys).sort((a, b) => a.ordinal - b.ordinal).map(({ id }) => id)),
    bringIn: (id) => tx.run('rootKeys.bringIn', async () => {
      await tx.insertIfNew(rootKeys, id, { id, ordinal: tx.nextOrdinal() });
    }),
    forget: (id) => tx.run('rootKeys.forget', async () => {
      await tx.lock(rootKeys, id);
      if (tx.get(rootKeys, id) === null) return;
      const free = () => {
        if (SEALED_COLUMNS.some((column) => sealedIn(tx, column).some(({ sealed }) => underOf(sealed) === id))) throw violates('root_keys_fkey', `something is sealed under ${id}`, '23503');
      };
      free();
      tx.atCommit(free);
      tx.put(rootKeys, id, null);
    }),
    ...holders(tx),
    counts: () => tx.run('rootKeys.counts', () => SEALED_COLUMNS.flatMap((column) =>
      [...Map.groupBy(sealedIn(tx, column), ({ sealed }) => underOf(sealed))].sort(byText(([under]) => under)).map(([under, values]) => ({ kind: column.kind, under, count: values.length })))),
    outdated: (kind, newest, after, limit) => tx.run('rootKeys.outdated', () => {
      const column = sealedColumn(kind);
      return sealedIn(tx, column)
        .filter(({ row, sealed }) => underOf(sealed) !== newest && (after === null || compare(row, after) > 0))
        .sort((a, b) => compare(a.row, b.row)).slice(0, limit)
        .map(({ row, sealed }) => ({ kind, row, identity: column.identity(row), sealed }));
    }),
    rewrap: ({ kind, row, sealed }, next) => tx.run('rootKeys.rewrap', async () => {
      const { table, column } = tableOf(tx, sealedColumn(kind));
      const key = row.join(' ');
      const header = Buffer.from(sealed.subarray(0, HEADER));
      const stands = (found: SealedRow) => Buffer.from((found[column] as Uint8Array | null) ?? []).subarray(0, HEADER).equals(header);
      return (await tx.update(table, [tx.get(table, key)].filter((found) => found !== null), () => key, stands,
        (found) => ({ ...found, [column]: Buffer.concat([next.subarray(0, HEADER), (found[column] as Uint8Array).subarray(HEADER)]) }))).length === 1;
    }),
  };
}

function holders(tx: Transaction): Pick<RootKeyTable, 'hold' | 'release' | 'lockHolders' | 'holders'> {
  const { keyHolders } = tx.tables;
  return {
    hold: (holder) => tx.run('rootKeys.hold', async () => {
      await tx.hold(HOLDERS);
      await tx.upsert(keyHolders, holder.server, () => ({ holder, seenAt: tx.now }));
    }),
    release: (server) => tx.run('rootKeys.release', async () => {
      await tx.hold(HOLDERS);
      const gone = tx.all(keyHolders).filter(({ holder, seenAt }) => holder.server === server || seenAt.getTime() < tx.now.getTime() - DAY_MS);
      for (const { holder } of gone) tx.put(keyHolders, holder.server, null);
    }),
    lockHolders: () => tx.run('rootKeys.lockHolders', () => tx.hold(HOLDERS)),
    holders: (withinMs) => tx.run('rootKeys.holders', () => tx.all(keyHolders)
      .filter(({ seenAt }) => seenAt.getTime() > tx.now.getTime() - withinMs)
      .map(({ holder }) => holder)
      .sort((a, b) => byText((one: KeyHolder) => one.host)(a, b) || byText((one: KeyHolder) => one.server)(a, b))),
  };
}

/** The foreign keys of every sealed column: also at the commit, as the key may be forgotten meanwhile. @throws a violation */
export function demandKnownRootKey(tx: Transaction, table: string, row: unknown): void {
  const column = SEALED_COLUMNS.find((each) => each.table === table)?.column;
  const sealed = column === undefined ? null : (row as SealedRow | null)?.[column];
  if (!(sealed instanceof Uint8Array)) return;
  const known = () => {
    if (tx.get(tx.tables.rootKeys, underOf(sealed)) === null) throw violates(`${table}_${column}_under_fkey`, `root key ${underOf(sealed)} is not known`, '23503');
  };
  known();
  tx.atCommit(known);
}

/** The rows of a table have their columns' names for members, and their primary key, parted by spaces, for a key. */
function tableOf(tx: Transaction, { table: name, column }: SealedColumn): { readonly table: Table<SealedRow>; readonly column: string } {
  const table = (Object.values(tx.tables) as Tables[keyof Tables][]).find((each) => each.name === name);
  if (!table) throw new Error(`there is no table ${name}`);
  return { table: table as unknown as Table<SealedRow>, column };
}

function sealedIn(tx: Transaction, of: SealedColumn): { readonly row: Key; readonly sealed: Uint8Array }[] {
  const { table, column } = tableOf(tx, of);
  return tx.entries(table).flatMap(([key, found]) => {
    const sealed = found[column];
    return sealed instanceof Uint8Array ? [{ row: columnsOf(key, of.key), sealed }] : [];
  });
}

function columnsOf(key: string, names: readonly string[]): Key {
  if (names.length === 1) return [key];
  const [first = '', rest = ''] = key.split(/ (.*)/s);
  return [first, names[1] === 'seq' ? Number(rest) : rest];
}

function compare(a: Key, b: Key): number {
  const [at] = a.flatMap((value, index) => (value === b[index] ? [] : [index]));
  if (at === undefined) return 0;
  return (a[at] ?? '') < (b[at] ?? '') ? -1 : 1;
}
