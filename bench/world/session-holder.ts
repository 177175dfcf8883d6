/**
 * A process that holds sessions through the broker, so that neither the server nor who measures shares a thread with the
 * clients. Each session is told of when it is open, and when it was cut.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

export interface SessionOrder {
  readonly key: string;
  /** libpq's environment, as `clientEnv` makes it. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * `idle` and `busy` (a statement that runs) by the driver `pg`, `eager` like `idle` but trying again every 20 ms until it
   * is let in; `psql` is the program, with a statement that runs.
   */
  readonly kind: 'idle' | 'busy' | 'eager' | 'psql';
}

export type FromHolder =
  /** A first query has been answered. `at` by the wall clock. */
  | { readonly open: string; readonly at: number }
  /** With what the client was told. */
  | { readonly cut: string; readonly at: number; readonly said: string };

const tell = (message: FromHolder) => process.send?.(message);
const now = () => performance.timeOrigin + performance.now();

async function hold({ key, env, kind }: SessionOrder): Promise<void> {
  if (kind === 'psql') return holdPsql(key, env);
  const client = new Client({
    host: env['PGHOST'], port: Number(env['PGPORT']), user: env['PGUSER'], database: env['PGDATABASE'], options: env['PGOPTIONS'],
    ssl: { ca: readFileSync(env['PGSSLROOTCERT'] ?? ''), cert: readFileSync(env['PGSSLCERT'] ?? ''), key: readFileSync(env['PGSSLKEY'] ?? '') },
  });
  let over = false;
  const cut = (error?: Error) => {
    if (over) return;
    over = true;
    tell({ cut: key, at: now(), said: error?.message ?? 'the connection ended' });
  };
  client.on('error', cut).on('end', () => cut());
  try {
    await client.connect();
    await client.query('select 1');
  } catch (error) {
    if (kind !== 'eager') throw error;
    over = true;
    await sleep(20);
    return hold({ key, env, kind });
  }
  tell({ open: key, at: now() });
  if (kind === 'busy') client.query('select pg_sleep(600)').catch(cut);
}

function holdPsql(key: string, env: Readonly<Record<string, string>>): void {
  const child = spawn('psql', ['-XAtc', 'select 1', '-c', 'select pg_sleep(600)'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  child.stdout.once('data', () => tell({ open: key, at: now() }));
  child.once('exit', () => tell({ cut: key, at: now(), said: said.trim() }));
}

process.on('message', (order) => {
  hold(order as SessionOrder).catch((error: unknown) => tell({ cut: (order as SessionOrder).key, at: now(), said: String(error) }));
});
process.on('disconnect', () => process.exit());
