/** The supervisor's own connection: it tells whether the server answers, holds the store's lock, and breaks when it dies. */
import { Socket } from 'node:net';
import { Client } from 'pg';
import type { Credentials } from './cluster.ts';
import { diskFull } from './failures.ts';

/** Session-level advisory lock in the database `postgres`: whoever holds it supervises this store. It dies with its holder. */
const SUPERVISOR_LOCK = 0x62726576;
const CONNECT_MS = 5_000;

/** For `new Pool(...)` or `new Client(...)`. Nothing is left to the environment's PG* variables. */
export interface ConnectionOptions {
  /** The folder of the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: false;
}

export function optionsFor(socketFolder: string, port: number, user: keyof Credentials, credentials: Credentials): ConnectionOptions {
  return { host: socketFolder, port, user, password: credentials[user], database: user, ssl: false };
}

/** How a try to connect ended: `starting` and `silent` may still become a connection. */
export type Attempt =
  | { readonly outcome: 'connected'; readonly client: Client; readonly socket: Socket; readonly version: string }
  | { readonly outcome: 'starting' | 'silent' | 'rejected'; readonly error: Error };

export async function tryConnect(options: ConnectionOptions): Promise<Attempt> {
  const socket = new Socket();
  const client = new Client({
    ...options, stream: () => socket, application_name: `brevet supervisor ${process.pid}`, connectionTimeoutMillis: CONNECT_MS,
  });
  // Without a listener a broken connection would end our process; `end` follows and is what we act on.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return { outcome: 'connected', client, socket, version: rows[0]?.server_version ?? '' };
  } catch (error) {
    await client.end().catch(() => undefined);
    const code = (error as { code?: string }).code ?? '';
    // 57P01..57P03: shutting down, crashed, starting up or recovering. 53300: every connection is taken.
    if (/^57P0[123]$|^53300$/.test(code)) return { outcome: 'starting', error: error as Error };
    if (code.startsWith('28')) return { outcome: 'rejected', error: error as Error };
    return { outcome: 'silent', error: error as Error };
  }
}

/** Takes the store's lock on this connection. Answers null when taken, else who holds it. */
export async function takeLock(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [SUPERVISOR_LOCK]);
  if (rows[0]?.taken === true) return null;
  const holder = await client.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objid = $1 and a.datname = current_database()`, [SUPERVISOR_LOCK]);
  return holder.rows[0]?.name ?? 'another process';
}

/** Makes the role and the database `brevet` when they are missing: they are made after initdb, and a kill may come between. */
export async function ensureDatabase(client: Client, credentials: Credentials, folder: string): Promise<void> {
  const database = await client.query("select from pg_database where datname = 'brevet'");
  if (database.rowCount === 1) return;
  const role = await client.query("select from pg_roles where rolname = 'brevet'");
  const verb = role.rowCount === 1 ? 'alter' : 'create';
  try {
    await client.query(`${verb} role brevet login password ${client.escapeLiteral(credentials.brevet)}`);
    await client.query('create database brevet owner brevet');
  } catch (error) {
    throw (error as { code?: string }).code === '53100' ? diskFull(folder) : error;
  }
}
