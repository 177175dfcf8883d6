import { Pool, type ClientConfig } from 'pg';

export interface PoolOptions {
  /** `postgresql://...`, or where the embedded server listens. */
  readonly connection: string | Readonly<Pick<ClientConfig, 'host' | 'port' | 'user' | 'password' | 'database' | 'ssl'>>;
  /** Most connections. One listens all the time, the sequencer takes one for each batch. At least 4. */
  readonly max: number;
}

/** The pool for `postgresStore` and `runSequencer`. A server that does not answer within five seconds is unavailable. */
export function openPool({ connection, max }: PoolOptions): Pool {
  if (max < 4) throw new RangeError('the store needs at least 4 connections');
  return new Pool({
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    max,
    application_name: 'brevet',
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  });
}
