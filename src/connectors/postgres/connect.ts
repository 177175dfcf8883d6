import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError, type QueryResult } from 'pg';
import type { TargetAccess } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { readConfig, type TargetConfig } from './config.ts';
import { failureOf } from './failure.ts';

/** All in milliseconds. */
export interface Timeouts {
  /** As long as a probe waits, whatever the connection is for: another server that reaches the target then has time to be within five seconds. */
  readonly connect: number;
  readonly statement: number;
  readonly lock: number;
  /** How long all work over one connection may take. */
  readonly connection: number;
  /** How long to wait for ended sessions to be gone. */
  readonly sessions: number;
}
export const TIMEOUTS: Timeouts = { connect: 3000, statement: 10_000, lock: 4000, connection: 60_000, sessions: 5000 };

/** A server may send this much over one connection; a hostile one is cut off there. */
const MOST_BYTES = 64 * 1024 * 1024;

export type Row = Readonly<Record<string, unknown>>;

/** One bounded connection to a target as Brevet's administrative role. Errors are `Refusal`s. */
export interface TargetSession extends AsyncDisposable {
  readonly config: TargetConfig;
  /** 150_004 for 15.4. */
  readonly version: number;
  /** The rows of the last statement in `sql`. Several statements may stand in one text when there are no values. */
  rows(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** Whether Brevet's role is a superuser. */
  readonly superuser: boolean;
  /** Runs `first` and `work` between `begin` and `commit` (read committed); any error rolls back. */
  transaction<T>(first: string, work: () => Promise<T>): Promise<T>;
}

/**
 * Signs in. The session sees only `pg_catalog` by unqualified names, so that nothing a user of the database planted in
 * another schema is ever called, and its settings do not depend on what role or database were given as defaults.
 */
export async function openTarget(target: TargetAccess, database: string | null, timeouts: Timeouts): Promise<TargetSession> {
  const config = readConfig(target.config);
  const secrets = [target.credential];
  // A function, so that the driver never falls back to PGPASSWORD or ~/.pgpass of Brevet's own account.
  const password = () => {
    if (target.credential === null) throw new Error('the target asks for a password, and none is stored for it');
    return target.credential;
  };
  try {
    return wrap(await signIn(config, { password }, database, timeouts), config, secrets, timeouts);
  } catch (error) {
    throw failureOf(error, secrets);
  }
}

/** For a removal: the scope's database may be gone, or closed to connections, by now; then another must do. */
export async function openSomewhere(target: TargetAccess, database: string | null, timeouts: Timeouts): Promise<TargetSession> {
  try {
    return await openTarget(target, database, timeouts);
  } catch (error) {
    if (error instanceof Refusal && error.code === 'target_refused' && database !== null) return openTarget(target, null, timeouts);
    throw error;
  }
}

/**
 * Whether a password is that of another role, tried by signing in with it. `null` when that tells nothing: the server let
 * it in unasked, or sent it away for another reason.
 */
export async function signsIn(target: TargetAccess, user: string, secret: string, database: string | null, timeouts: Timeouts): Promise<boolean | null> {
  const config = { ...readConfig(target.config), user };
  let asked = false;
  let proven = false;
  const password = () => {
    asked = true;
    return secret;
  };
  try {
    // What comes after the proof, such as a limit of sessions, is about something else.
    const { client } = await signIn(config, { password, proven: () => (proven = asked) }, database, timeouts);
    await Promise.race([client.end().catch(() => undefined), sleep(500, undefined, { ref: false })]);
    wire(client).stream.destroy();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw failureOf(error, [target.credential, secret]);
    if (error.code === '28P01') return false;
  }
  return proven ? true : null;
}

interface SignIn {
  readonly password: () => string;
  /** Called when the server takes the proof. */
  readonly proven?: () => void;
}

async function signIn(config: TargetConfig, how: SignIn, database: string | null, timeouts: Timeouts): Promise<SignedIn> {
  if (config.tls !== 'prefer') return await signInBy(config.tls, config, how, database, timeouts);
  try {
    return await signInBy('require', config, how, database, timeouts);
  } catch (error) {
    if (!(error instanceof Error) || !/does not support SSL/.test(error.message)) throw error;
    return await signInBy('disable', config, how, database, timeouts);
  }
}

interface SignedIn {
  readonly client: Client;
  readonly version: number;
  readonly superuser: boolean;
}

async function signInBy(
  tls: 'disable' | 'require' | 'verify-full', config: TargetConfig, how: SignIn, database: string | null, timeouts: Timeouts,
): Promise<SignedIn> {
  const settings = {
    search_path: 'pg_catalog,pg_temp', TimeZone: 'UTC', DateStyle: 'ISO', client_min_messages: 'warning',
    standard_conforming_strings: 'on', default_transaction_isolation: 'read\\ committed', default_transaction_read_only: 'off', jit: 'off',
  };
  const client = new Client({
    host: config.host, port: config.port, user: config.user, database: database ?? config.database,
    password: how.password,
    ssl: tls === 'disable' ? false : { rejectUnauthorized: tls === 'verify-full', ...(config.ca === null ? {} : { ca: config.ca }) },
    stream: () => new Socket(),
    application_name: 'brevet', client_encoding: 'UTF8', keepAlive: true, connectionTimeoutMillis: timeouts.connect,
    statement_timeout: timeouts.statement, query_timeout: timeouts.statement + 1000, lock_timeout: timeouts.lock,
    idle_in_transaction_session_timeout: timeouts.statement + 5000,
    options: Object.entries(settings).map(([key, value]) => `-c ${key}=${value}`).join(' '),
  });
  client.on('error', () => undefined); // the running query reports it; an idle connection's loss is no one's
  guard(client, tls);
  // What the server tells of itself while signing in spares two questions on each connection.
  const told = new Map<string, string>();
  wire(client).on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (told.size < 100) told.set(String(parameterName), String(parameterValue));
  });
  wire(client).on('authenticationOk', () => how.proven?.());
  try {
    await client.connect();
    return { client, version: versionOf(told.get('server_version')), superuser: told.get('is_superuser') === 'on' };
  } catch (error) {
    wire(client).stream.destroy();
    throw error;
  }
}

/** `15.18 (Debian ...)`, `18beta1` as the server counts: 150_018, 180_000. @throws Refusal `target_refused` before 13 */
function versionOf(text: string | undefined): number {
  const match = /^(\d{1,3})(?:\.(\d{1,3}))?(?!\d)/.exec(text ?? '');
  if (!match) throw new Refusal('target_refused', 'the target did not tell its version');
  if (Number(match[1]) < 13) throw new Refusal('target_refused', 'the target is older than PostgreSQL 13');
  return Number(match[1]) * 10_000 + Number(match[2] ?? 0);
}

/** The driver's own connection object, which its types keep to themselves. */
interface Wire {
  readonly stream: Socket;
  on(event: string, listener: (message: Readonly<Record<string, unknown>>) => void): void;
}
function wire(client: Client): Wire {
  return (client as unknown as { connection: Wire }).connection;
}

/** What the driver leaves open to a hostile server: answers without end, and asking for the password in clear text. */
function guard(client: Client, tls: string): void {
  const connection = wire(client);
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) connection.stream.destroy(new Error('the connection was closed: the answer has no end'));
  };
  connection.stream.on('data', count);
  connection.on('sslconnect', () => connection.stream.on('data', count));
  connection.on('authenticationCleartextPassword', () => {
    if (tls !== 'verify-full') connection.stream.destroy(new Error('it asks for the password in clear text over a connection that proves nothing'));
  });
}

function wrap({ client, version, superuser }: SignedIn, config: TargetConfig, secrets: readonly (string | null)[], timeouts: Timeouts): TargetSession {
  const { stream } = wire(client);
  const budget = setTimeout(() => stream.destroy(new Error('connection timeout')), timeouts.connection);
  budget.unref();
  const rows: TargetSession['rows'] = async (sql, values) => {
    try {
      const result: unknown = await (values ? client.query(sql, [...values]) : client.query(sql));
      const last = Array.isArray(result) ? (result.at(-1) as QueryResult) : (result as QueryResult);
      return last.rows as Row[];
    } catch (error) {
      // Without an answer in time the connection is of no use: the answer to this would be taken for the next.
      if (error instanceof Error && /Query read timeout/.test(error.message)) stream.destroy();
      throw failureOf(error, secrets);
    }
  };
  const close = async () => {
    clearTimeout(budget);
    await Promise.race([client.end().catch(() => undefined), sleep(500, undefined, { ref: false })]);
    stream.destroy();
  };
  const transaction: TargetSession['transaction'] = async (first, work) => {
    let result;
    try {
      await rows(`begin isolation level read committed read write; ${first}`);
      result = await work();
    } catch (error) {
      await rows('rollback').catch(() => undefined);
      throw error;
    }
    await rows('commit');
    return result;
  };
  return { config, version, superuser, rows, transaction, [Symbol.asyncDispose]: close };
}
