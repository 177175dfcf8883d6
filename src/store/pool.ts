import { Pool, type ClientConfig } from 'pg';

export interface PoolOptions {
  /** `postgresql://...`, or where the embedded server listens. */
  readonly connection: string | Readonly<Pick<ClientConfig, 'connectionString' | 'host' | 'port' | 'user' | 'password' | 'database' | 'ssl'>>;
  /** Most connections. One listens all the time, the sequencer takes one for each batch. At least 4. */
  readonly max: number;
  /** How long one statement may take to be answered. Default 20 s, beyond the store's own limit on statements. */
  readonly answerMs?: number;
}

/**
 * The pool for `postgresStore` and `runSequencer`. A server that does not answer within five seconds is unavailable. One
 * that vanishes without a word in mid-connection (a failover, a cut cable) would keep a statement waiting for a quarter
 * of an hour, and the removals with it: the statement is given up, and its connection.
 */
export function openPool({ connection, max, answerMs = 20_000 }: PoolOptions): Pool {
  if (max < 4) throw new RangeError('the store needs at least 4 connections');
  return new Pool({
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    max,
    application_name: 'brevet',
    connectionTimeoutMillis: 5_000,
    query_timeout: answerMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  });
}
