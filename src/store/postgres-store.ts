import type { Pool, PoolClient, QueryResult } from 'pg';
import type { Journal, Monotonic, NewId } from '#app/ports/runtime.ts';
import type { Secrets } from '#app/ports/secrets.ts';
import type { Store, Topic, Tx } from '#app/ports/store.ts';
import { Refusal } from '#domain/refusal.ts';
import { catalogueTable } from './catalogue-table.ts';
import { IDLE_MS, withConnection } from './connection.ts';
import { credentialTable } from './credential-table.ts';
import { entryTable } from './entry-table.ts';
import { grantTable } from './grant-table.ts';
import { listener } from './listener.ts';
import { logWriter, sqlKeeper, type EncodeEntry } from './log-writer.ts';
import { partTable } from './part-table.ts';
import { policyTable } from './policy-table.ts';
import { principalTable } from './principal-table.ts';
import { isLost, mayRunAgain, refusalFor } from './refuse.ts';
import { requestTable } from './request-table.ts';
import { rootKeyTable } from './root-key-table.ts';
import { sessionTable } from './session-table.ts';
import { sqlOn, type Sql } from './sql.ts';

export interface PostgresStoreOptions {
  /** Made by `openPool`; ended by whoever made it, after the store. One of its connections listens as long as anybody does. */
  readonly pool: Pool;
  readonly newId: NewId;
  readonly secrets: Pick<Secrets, 'newSubjectKey' | 'sealPersonal'>;
  readonly journal: Journal;
  readonly monotonic: Monotonic;
  /** Writes a log entry as the UTF-8 text that is hashed: `encodeEntry` of src/log/entry.ts. @throws for what a verifier would refuse */
  readonly encodeEntry: EncodeEntry;
  /** Longest time for one statement, waiting for locks included. Default 15 s. */
  readonly statementTimeoutMs?: number;
  /** Longest pause between two statements of a transaction. Default `IDLE_MS`. */
  readonly idleTimeoutMs?: number;
}

const ATTEMPTS = 3;

export function postgresStore(options: PostgresStoreOptions): Store & AsyncDisposable {
  const { pool, journal } = options;
  const listening = listener(options);
  const begin = beginning(options);
  // An idle connection that breaks is no more than a connection to be made again; without a handler it ends the process.
  const onIdleError = (error: Error) => journal.warn('an idle connection to the store broke', { error: error.message });
  pool.on('error', onIdleError);

  const once = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
    withConnection(pool, async (client) => {
      const sql = sqlOn(client);
      try {
        const now = nowOf(await client.query(begin) as unknown as QueryResult[]);
        const { tx, finish } = transaction(sql, now, options);
        const answer = await work(tx);
        const { logged, notices } = await finish();
        await sql.close();
        await commit(client, notices);
        if (logged) listening.nudge('log');
        return answer;
      } finally {
        await sql.close();
      }
    });

  return {
    transaction: async (work) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(work);
        } catch (error) {
          if (mayRunAgain(error) && attempt < ATTEMPTS) continue;
          if (isLost(error)) journal.warn('the store cannot be reached', { error: (error as Error).message });
          throw refusalFor(error);
        }
      }
    },
    listen: (topic, callback) => listening.on(topic, callback),
    [Symbol.asyncDispose]: async () => {
      await listening[Symbol.asyncDispose]();
      pool.off('error', onIdleError);
    },
  };
}

/**
 * One round trip: begins, pins what a server's or role's settings could change under us, and asks the time. It is cut
 * to milliseconds, since that is what a JavaScript Date holds: what is written reads back equal.
 */
function beginning({ statementTimeoutMs = 15_000, idleTimeoutMs = IDLE_MS }: PostgresStoreOptions): string {
  return `begin isolation level read committed;
    select set_config('search_path', 'pg_catalog', true), set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
           set_config('statement_timeout', '${Number(statementTimeoutMs)}ms', true),
           set_config('idle_in_transaction_session_timeout', '${Number(idleTimeoutMs)}ms', true);
    select date_trunc('milliseconds', clock_timestamp()) as now`;
}

function nowOf(results: readonly QueryResult[]): Date {
  const now: unknown = results.at(-1)?.rows[0]?.now;
  if (!(now instanceof Date)) throw new Error('the database did not tell the time');
  return now;
}

interface Notice {
  readonly topic: Topic;
  readonly payload: string;
}

function transaction(sql: Sql, now: Date, options: PostgresStoreOptions) {
  const log = logWriter(sqlKeeper(sql), now, options);
  const notices = new Map<string, Notice>();
  const notify = async (topic: Topic, payload = '') => {
    notices.set(`${topic} ${payload}`, { topic, payload });
  };
  const tx: Tx = {
    now,
    log: async (event) => log.add(event),
    notify,
    principals: principalTable(sql, now, options),
    catalogue: catalogueTable(sql, now),
    policies: policyTable(sql),
    requests: requestTable(sql),
    grants: grantTable(sql, notify),
    parts: partTable(sql),
    sessions: sessionTable(sql, now),
    credentials: credentialTable(sql),
    entries: entryTable(sql),
    rootKeys: rootKeyTable(sql, now),
  };
  /** What was put off to the end: all entries in one statement; the notices go with the commit. */
  const finish = async () => ({ logged: await log.flush(), notices: [...notices.values()] });
  return { tx, finish };
}

/** One round trip for the notices and the commit that sends them. */
async function commit(client: PoolClient, notices: readonly Notice[]): Promise<void> {
  const sent = notices.map(({ topic, payload }) => `select pg_notify('brevet_${topic}', ${client.escapeLiteral(payload)}); `);
  const answer: unknown = await client.query(`${sent.join('')}commit`);
  const { command } = (Array.isArray(answer) ? answer.at(-1) : answer) as QueryResult;
  // A statement had failed and the use case went on as if it had not: PostgreSQL rolls back without an error.
  if (command !== 'COMMIT') throw new Refusal('internal', 'the transaction was rolled back');
}
