/** A PostgreSQL broker in front of a test server, with the gate in memory: what broker tests start from. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { startBroker, type Broker, type BrokerSettings } from '#brokers/postgres/broker.ts';
import { readRecording, type Recording } from '#brokers/postgres/recording.ts';
import { makeId } from '#domain/id.ts';
import { makeAuthority, type TestAuthority } from './certificates.ts';
import { MemoryGate, type TicketTerms } from './memory-gate.ts';
import type { TestServer } from './postgres-server.ts';

const run = promisify(execFile);

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BrokerWorld extends AsyncDisposable {
  readonly server: TestServer;
  readonly broker: Broker;
  readonly gate: MemoryGate;
  readonly authority: TestAuthority;
  /** libpq's environment for a program that signs in with a fresh token. */
  env(more?: Readonly<Record<string, string>>): NodeJS.ProcessEnv;
  /** A connection string with a fresh token, for drivers. */
  url(): string;
  psql(args: readonly string[], more?: Readonly<Record<string, string>>): Promise<Ran>;
  /** Starts psql and leaves it running. */
  spawnPsql(args: readonly string[], more?: Readonly<Record<string, string>>): ChildProcess;
  /** Reads what was recorded of a session, once the gate has heard of its end. */
  recorded(): Promise<Recording>;
  /** How many backends serve the target account. */
  backends(): Promise<number>;
}

export const BROKER_LOG: string[] = [];

export function settingsFor(gate: MemoryGate, tls: BrokerSettings['tls']): BrokerSettings {
  return {
    broker: makeId('broker', Date.now(), randomBytes(10)),
    gate,
    host: '127.0.0.1',
    port: 0,
    tls,
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random: (size) => randomBytes(size),
    log: (level, message, facts) => BROKER_LOG.push(`${level} ${message} ${JSON.stringify(facts)}`),
  };
}

/** Makes the target account `carrier` and starts a broker that signs in with it. */
export async function startBrokerWorld(
  server: TestServer,
  terms: Partial<TicketTerms> = {},
  limits: NonNullable<BrokerSettings['limits']> = {},
): Promise<BrokerWorld> {
  await server.query(`do $$ begin
    if not exists (select from pg_roles where rolname = 'carrier') then create role carrier login password 'carried-secret'; end if;
  end $$; grant create on schema public to carrier; grant create, connect on database postgres to carrier`);
  const authority = await makeAuthority();
  const shown = await authority.issue('server', 'localhost');
  const gate = new MemoryGate({
    principalName: 'mia',
    entitlementName: 'orders-read',
    remainingMs: 600_000,
    leaseMs: 15_000,
    graceMs: 30_000,
    endMode: 'cut',
    warnMs: 0,
    maskLiterals: false,
    upstream: {
      protocol: 'postgresql', host: server.host, port: server.port, tls: 'prefer', ca: null, database: 'postgres', user: 'carrier', password: 'carried-secret', settings: {},
    },
    ...terms,
  });
  const broker = await startBroker({ ...settingsFor(gate, { cert: shown.cert, key: shown.key, ca: [authority.ca] }), limits });
  const env = (more: Readonly<Record<string, string>> = {}) => {
    const token = gate.issueToken();
    return {
      PATH: process.env['PATH'], HOME: '/nonexistent', PGHOST: '127.0.0.1', PGPORT: String(broker.port), PGUSER: `mia/${token.handle}`,
      PGPASSWORD: token.secret, PGDATABASE: 'orders', PGSSLMODE: 'verify-full', PGSSLROOTCERT: authority.caFile, PGCONNECT_TIMEOUT: '10', ...more,
    };
  };
  return {
    server, broker, gate, authority, env,
    url() {
      const token = gate.issueToken();
      return `postgresql://mia%2F${token.handle}:${token.secret}@127.0.0.1:${broker.port}/orders`;
    },
    psql: (args, more) => runProgram('psql', ['-X', ...args], env(more)),
    spawnPsql: (args, more) => spawn('psql', ['-X', ...args], { env: env(more), stdio: ['pipe', 'pipe', 'pipe'] }),
    async recorded() {
      const session = gate.lastSession;
      await until(() => gate.ends.some((end) => end.session === session), 'the end of the session');
      return readRecording(gate.recording(session));
    },
    async backends() {
      const { rows } = await server.query("select count(*)::int as n from pg_stat_activity where usename = 'carrier'");
      return rows[0].n as number;
    },
    async [Symbol.asyncDispose]() {
      await broker.stop();
      await authority[Symbol.asyncDispose]();
    },
  };
}

export async function runProgram(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  try {
    const { stdout, stderr } = await run(file, args, { env, maxBuffer: 256 * 1024 * 1024 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  }
}

/** Polls until something holds. @throws after 10 s, naming what was waited for */
export async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
