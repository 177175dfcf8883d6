import type { Concerning } from '#app/ports/store.ts';
import type { ClientBase, QueryResult, QueryResultRow } from 'pg';

/**
 * Asks the database on one connection, inside one transaction. Columns are named as the domain names them
 * (`principal_id as principal`), so that a row is almost a domain value already; `rows.ts` does the rest.
 */
export interface Sql {
  rows<R extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly R[]>;
  /** The first row, or `null`. */
  row<R extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<R | null>;
  /** How many rows were written. */
  run(text: string, values?: readonly unknown[]): Promise<number>;
}

export interface SqlOnConnection extends Sql {
  /** From here on every query is refused; resolves when the last one before is answered. */
  close(): Promise<void>;
}

/**
 * Queries that are asked at the same time go one after another. One that comes after the end of its transaction, since
 * somebody forgot to await it, must not reach the connection's next user.
 */
export function sqlOn(client: ClientBase, answerMs?: number): SqlOnConnection {
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;
  const ask = <R extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<QueryResult<R>> => {
    if (closed) return Promise.reject(new Error('a query after the end of its transaction'));
    const answer = last.then(() => {
      if (closed) throw new Error('a query after the end of its transaction');
      // The driver's type does not know it: how long this statement may take, instead of what the pool says.
      return client.query<R>({ text, values: [...values], query_timeout: answerMs } as { text: string; values: unknown[] });
    });
    last = answer.catch(() => undefined);
    return answer;
  };
  return {
    close: async () => {
      closed = true;
      await last;
    },
    rows: async <R extends QueryResultRow>(text: string, values?: readonly unknown[]) => (await ask<R>(text, values)).rows,
    row: async <R extends QueryResultRow>(text: string, values?: readonly unknown[]) => (await ask<R>(text, values)).rows[0] ?? null,
    run: async (text, values) => (await ask(text, values)).rowCount ?? 0,
  };
}

/**
 * Conditions of a list, built only for what was given: with `$1 is null or ...` the planner could not use an index.
 * `add('principal_id = $', id)` puts the next parameter's number after `$`; `undefined` adds nothing.
 */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #texts: string[] = [];

  add(text: string, value: unknown): this {
    if (value === undefined) return this;
    this.#texts.push(text.replace('$', this.parameter(value)));
    return this;
  }

  /** A condition without a parameter. */
  when(holds: boolean | undefined, text: string): this {
    if (holds === true) this.#texts.push(text);
    return this;
  }

  parameter(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  toString(): string {
    return this.#texts.length === 0 ? 'true' : this.#texts.join(' and ');
  }
}

/**
 * The ids of a page of what concerns somebody, newest first, of the rows of `table` (with its alias) that meet `where`: the newest of each way
 * in, of which each has an index in this order, and of these the newest. Put together first and sorted then, the page would cost
 * what their whole history does.
 */
export function pageConcerning(table: string, of: Concerning, where: Conditions, limit: string): string {
  const [principals, behalf] = [where.parameter(of.principals), where.parameter(of.behalf)];
  const newest = (way: string) => `(select id from ${table} where ${way} and ${where} order by id desc limit ${limit})`;
  return `select id from (select page.id from unnest(${principals}::text[]) as who cross join lateral ${newest('principal_id = who')} page
      union select page.id from ${newest(`on_behalf_of_id = ${behalf}`)} page) ways order by id desc limit ${limit}`;
}
