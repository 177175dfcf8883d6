/** Committed rows, by key. `isLive` marks what the partial indexes of the schema hold: what loops look at all the time. */
export class Table<R> {
  readonly name: string;
  readonly rows = new Map<string, R>();
  readonly live = new Set<string>();
  readonly uniques: Readonly<Record<string, (row: R) => string>>;
  readonly #index = new Map<string, string>();
  readonly #isLive: (row: R) => boolean;

  constructor(name: string, isLive: (row: R) => boolean = () => true, uniques: Readonly<Record<string, (row: R) => string>> = {}) {
    this.name = name;
    this.#isLive = isLive;
    this.uniques = uniques;
  }

  /** The key of the committed row that has this value under a unique constraint. */
  holder(constraint: string, value: string): string | undefined {
    return this.#index.get(`${constraint} ${value}`);
  }

  put(key: string, row: R | null): void {
    const before = this.rows.get(key);
    if (before !== undefined) for (const [name, value] of Object.entries(this.uniques)) this.#index.delete(`${name} ${value(before)}`);
    if (row === null) {
      this.rows.delete(key);
      this.live.delete(key);
      return;
    }
    this.rows.set(key, row);
    for (const [name, value] of Object.entries(this.uniques)) this.#index.set(`${name} ${value(row)}`, key);
    if (this.#isLive(row)) this.live.add(key);
    else this.live.delete(key);
  }

  replaceAll(rows: ReadonlyMap<string, R>): void {
    for (const key of this.rows.keys()) this.put(key, null);
    for (const [key, row] of rows) this.put(key, row);
  }
}
