import type { Clockwork } from './clockwork.ts';
import { CHECKS } from './constraints.ts';
import { connectionLost, databaseError, violates } from './database-error.ts';
import type { Holder } from './locks.ts';
import type { Memory, Tables } from './memory.ts';
import { demandKnownRootKey } from './root-keys.ts';
import type { Table } from './table.ts';

type Named = Pick<Table<unknown>, 'name'>;

/** One row that a transaction changed. */
export interface Change {
  readonly table: string;
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * A read-committed transaction: it sees what others committed, and what it wrote itself. Who writes a row holds it until
 * the end; who waited for a row looks at it again. After a failed statement nothing but the rollback is possible.
 */
export class Transaction implements Holder {
  waitsFor: string | null = null;
  readonly held = new Set<string>();
  readonly now: Date;
  readonly tables: Tables;
  readonly #memory: Memory;
  readonly #clockwork: Clockwork;
  readonly #written = new Map<Table<unknown>, Map<string, unknown>>();
  readonly #atCommit: (() => void)[] = [];
  #state: 'open' | 'failed' | 'lost' | 'over' = 'open';

  constructor(memory: Memory, clockwork: Clockwork) {
    this.#memory = memory;
    this.#clockwork = clockwork;
    this.tables = memory.tables;
    this.now = new Date(clockwork.now());
  }

  get hasWritten(): boolean {
    return this.#written.size > 0;
  }

  /** One statement: a trip to the database, and then `work` at once but for the locks it waits for. */
  async run<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    await this.trip(what);
    try {
      return await work();
    } catch (error) {
      if (this.#state === 'open') this.#state = 'failed';
      throw error;
    }
  }

  /** Between two statements of one method. */
  async trip(what: string): Promise<void> {
    this.#demandOpen();
    await this.#clockwork.step(what);
    this.#demandOpen();
  }

  #demandOpen(): void {
    if (this.#state === 'lost') throw connectionLost();
    if (this.#state === 'failed') throw databaseError('25P02', null, 'current transaction is aborted');
    if (this.#state === 'over') throw new Error('a query after the end of its transaction');
  }

  get<R>(table: Table<R>, key: string): R | null {
    const own = this.#written.get(table as Table<unknown>);
    if (own?.has(key)) return own.get(key) as R | null;
    return table.rows.get(key) ?? null;
  }

  all<R>(table: Table<R>): R[] {
    return this.#rows(table, table.rows.keys());
  }

  /** Only what the partial indexes hold, and what was written here: callers test what they look for. */
  live<R>(table: Table<R>): R[] {
    return this.#rows(table, table.live);
  }

  #rows<R>(table: Table<R>, keys: Iterable<string>): R[] {
    const own = this.#written.get(table as Table<unknown>) as Map<string, R | null> | undefined;
    const rows: R[] = [];
    for (const key of keys) {
      if (own?.has(key)) continue;
      const row = table.rows.get(key);
      if (row !== undefined) rows.push(row);
    }
    for (const row of own?.values() ?? []) if (row !== null) rows.push(row);
    return rows;
  }

  /** All of them, with their keys. */
  entries<R>(table: Table<R>): [string, R][] {
    const keys = new Set([...table.rows.keys(), ...(this.#written.get(table as Table<unknown>)?.keys() ?? [])]);
    return [...keys].flatMap((key) => {
      const row = this.get(table, key);
      return row === null ? [] : [[key, row] as [string, R]];
    });
  }

  /** Of a sequence: given once, whatever becomes of the transaction. */
  nextOrdinal(): number {
    return ++this.#memory.ordinals;
  }

  tryLock(table: Named, key: string): boolean {
    return this.#memory.locks.tryLock(`${table.name}/${key}`, this);
  }

  async lock(table: Named, key: string): Promise<void> {
    await this.hold(`${table.name}/${key}`);
  }

  /** A lock by name: a row's, an advisory one, or that of a value that must be unique. */
  async hold(name: string): Promise<void> {
    if (this.#memory.locks.tryLock(name, this)) return;
    await this.#memory.locks.lock(name, this);
    this.#demandOpen();
  }

  /** `update ... where`: locks what matches, looks again, changes. Answers the rows as they are now. */
  async update<R>(table: Table<R>, rows: readonly R[], keyOf: (row: R) => string, where: (row: R) => boolean, change: (row: R) => NoInfer<R>): Promise<R[]> {
    const changed: R[] = [];
    for (const key of rows.filter(where).map(keyOf)) {
      await this.lock(table, key);
      const row = this.get(table, key);
      if (row === null || !where(row)) continue;
      const next = change(row);
      this.put(table, key, next);
      changed.push(next);
    }
    return changed;
  }

  /** Waits for whoever inserts the same at the same time. Answers false when it is there already. */
  async insertIfNew<R>(table: Table<R>, key: string, row: R): Promise<boolean> {
    await this.hold(`${table.name}/${key}`);
    if (this.get(table, key) !== null) return false;
    this.put(table, key, row);
    return true;
  }

  /** @throws a unique violation */
  async insert<R>(table: Table<R>, key: string, row: R): Promise<void> {
    await this.#holdUniques(table, key, row);
    if (!(await this.insertIfNew(table, key, row))) throw violates(`${table.name}_pkey`, 'duplicate key', '23505');
  }

  async #holdUniques<R>(table: Table<R>, key: string, row: R): Promise<void> {
    for (const [constraint, value] of Object.entries(table.uniques)) {
      await this.hold(`${constraint} ${value(row)}`);
      const holder = table.holder(constraint, value(row));
      const taken = holder !== undefined && holder !== key && this.get(table, holder) !== null;
      const own = [...(this.#written.get(table as Table<unknown>)?.entries() ?? [])].some(([other, mine]) => other !== key && mine !== null && value(mine as R) === value(row));
      if (taken || own) throw violates(constraint, 'duplicate key', '23505');
    }
  }

  /** `insert ... on conflict (id) do update`. */
  async upsert<R>(table: Table<R>, key: string, row: (before: R | null) => R): Promise<void> {
    await this.lock(table, key);
    const next = row(this.get(table, key));
    await this.#holdUniques(table, key, next);
    this.put(table, key, next);
  }

  /** The row is held. @throws what the schema's checks and triggers say */
  put<R>(table: Table<R>, key: string, row: R | null): void {
    const before = this.get(table, key);
    CHECKS[table.name]?.(this, before, row);
    demandKnownRootKey(this, table.name, row);
    const own = this.#written.get(table as Table<unknown>) ?? new Map<string, unknown>();
    own.set(key, row);
    this.#written.set(table as Table<unknown>, own);
  }

  /** A deferred constraint. */
  atCommit(check: () => void): void {
    this.#atCommit.push(check);
  }

  /** Makes it lasting, and tells what changed. @throws what a deferred constraint says */
  commit(): readonly Change[] {
    this.#demandOpen();
    for (const check of this.#atCommit) check();
    const changes: Change[] = [];
    for (const [table, rows] of this.#written) {
      for (const [key, after] of rows) {
        changes.push({ table: table.name, key, before: table.rows.get(key) ?? null, after });
        table.put(key, after);
      }
    }
    this.#end('over');
    return changes;
  }

  rollback(): void {
    if (this.#state !== 'lost' && this.#state !== 'over') this.#end('over');
  }

  /** Its connection is gone: what it wrote is rolled back, and what it held is free. */
  lose(): void {
    if (this.#state === 'over' || this.#state === 'lost') return;
    this.#memory.locks.giveUp(this, connectionLost());
    this.#end('lost');
  }

  get failed(): boolean {
    return this.#state === 'failed';
  }

  #end(state: 'over' | 'lost'): void {
    this.#state = state;
    this.#memory.locks.release(this);
    this.#written.clear();
  }
}
