/**
 * A whole Brevet for tests: a real server in this process on a database of its own, real broker processes, a real
 * PostgreSQL target with the demonstration's shop, and the demonstration's people, entitlements and policies. People
 * sign their requests like the command line does.
 */
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { issueLinkIn } from '#app/signin/issue-link.ts';
import { setTargetSecret } from '#app/target-access.ts';
import type { Problem } from '#contract/problem.ts';
import { signRequest } from '#contract/request-signature.ts';
import type { Answer } from '#contract/routes.ts';
import { ADMIN, fillSampleDatabase } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { startServer, type RunningServer } from '#main/start-server.ts';
import { readSettings } from '#main/settings.ts';
import { testDatabase, type TestDatabase } from './database.ts';
import { startTestServer, type TestServer, type TestServerOptions } from './postgres-server.ts';

export interface Reply<T = unknown> {
  readonly status: number;
  readonly body: T;
  readonly problem: Problem | null;
  readonly headers: Headers;
}

/** Somebody who is signed in with a key. */
export interface Caller {
  readonly name: string;
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** Sends a signed request; `path` from the root. */
  call<T = unknown>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply<T>>;
  /** The same with a body as it stands, however wrong. */
  raw<T = unknown>(method: string, path: string, text: string | null, headers?: Readonly<Record<string, string>>): Promise<Reply<T>>;
  get<T = unknown>(path: string): Promise<Reply<T>>;
  post<T = unknown>(path: string, body?: unknown): Promise<Reply<T>>;
}

export interface BrevetWorld extends AsyncDisposable {
  readonly server: RunningServer;
  /** More servers on the same store, started with `another`. */
  another(): Promise<RunningServer>;
  readonly database: TestDatabase;
  /** The data folder, with the root key. */
  readonly data: string;
  readonly target: TestServer;
  readonly address: string;
  readonly brokerPort: number;
  as(name: string): Promise<Caller>;
  /** Without any signature. */
  anonymous(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  apply(files: readonly SourceFile[]): Promise<void>;
  /** Asks, and waits until the grant is active: for entitlements that policy approves, or with `approvers`. */
  grant(who: string, entitlement: string, options?: { seconds?: number; ticket?: string; approvers?: readonly string[] }): Promise<Answer<'grant'>>;
  /** Polls one's own view of a grant until it is in this state. */
  until(who: string, grant: string, state: Answer<'grant'>['state'], withinMs?: number): Promise<Answer<'grant'>>;
  /** What a real client needs: environment for psql, pg_dump ..., with a certificate of this person. */
  clientEnv(who: string, database?: string): Promise<Record<string, string>>;
  /** Names of Brevet's roles on the target, read by its superuser. */
  roles(): Promise<readonly string[]>;
}

/**
 * Servers on the store of each world. With `TEST_SERVERS=3` people sign in at one each in turn, and clients connect through the last:
 * every test that holds on one server has to hold on several.
 */
const SERVERS = Number(process.env['TEST_SERVERS'] ?? 1);

export interface WorldOptions {
  readonly files?: (port: number) => readonly SourceFile[];
  readonly brokers?: number;
  /** For a test that reaches into one server: only that one. */
  readonly servers?: 1;
  /** How the target's server is started. */
  readonly target?: TestServerOptions;
  /** Connections to the store. */
  readonly connections?: number;
  /** Further settings, as variables. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function brevetWorld(options: WorldOptions = {}): Promise<BrevetWorld> {
  await using opening = new AsyncDisposableStack();
  const database = opening.use(await testDatabase());
  const target = opening.use(await startTestServer(options.target));
  const folder = await mkdtemp(join(tmpdir(), 'brevet-world-'));
  opening.defer(() => rm(folder, { recursive: true, force: true }));
  const secret = randomBytes(18).toString('base64url');
  await fillSampleDatabase({ host: target.host, port: target.port, user: target.user, password: target.password }, secret);

  const settings = readSettings(
    { BREVET_DATA: folder, DATABASE_URL: database.url, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0', BREVET_BROKER_PROCESSES: String(options.brokers ?? 1), BREVET_JOURNAL: process.env['BREVET_JOURNAL'] ?? 'silent', BREVET_CONNECTIONS: String(options.connections ?? 12), ...options.env },
    null,
  );
  const start = async () => {
    const started = await startServer(settings);
    opening.defer(() => started.stop());
    return started;
  };
  const server = await start();
  const servers = [server];
  while (servers.length < (options.servers ?? SERVERS)) servers.push(await start());
  const last = servers.at(-1) ?? server;
  const apply = async (files: readonly SourceFile[]) => {
    await server.app.store.transaction(async (tx) => {
      await applyIn(server.app, tx, files, null, 'system');
      for (const one of await tx.catalogue.targets()) await setTargetSecret(server.app, tx, one.id, null, secret);
    });
  };
  await apply((options.files ?? demoFiles)(target.port));

  const callers = new Map<string, Promise<Caller>>();
  const as = (name: string): Promise<Caller> => {
    const known = callers.get(name) ?? signIn(servers[callers.size % servers.length] ?? server, name);
    callers.set(name, known);
    return known;
  };
  const until: BrevetWorld['until'] = async (who, grant, state, withinMs = 10_000) => {
    const end = performance.now() + withinMs;
    for (;;) {
      const { body, problem } = await (await as(who)).get<Answer<'grant'>>(`/api/v1/grants/${grant}`);
      if (!problem && body.state === state) return body;
      if (performance.now() > end) throw new Error(`grant ${grant} is ${problem?.detail ?? body.state}, not ${state}: ${JSON.stringify(body)}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  const everything = opening.move();
  return {
    server, database, target, data: folder, as, apply, until,
    address: server.address,
    brokerPort: last.brokerPort ?? 0,
    another: async () => {
      const more = await startServer(settings);
      everything.defer(() => more.stop());
      return more;
    },
    anonymous: (method, path, body, headers) => send(server.address, method, path, body, headers ?? {}),
    async grant(who, entitlement, { seconds = 60, ticket = 'TEST-1', approvers = [] } = {}) {
      const asked = await (await as(who)).post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement, reason: 'a test', ticket, duration: seconds });
      if (asked.problem) throw new Error(`${asked.problem.code}: ${asked.problem.detail}`);
      for (const approver of approvers) {
        const review = await (await as(approver)).post<Answer<'reviewRequest'>>(`/api/v1/requests/${asked.body.id}/reviews`, { decision: 'approve', hash: asked.body.hash });
        if (review.problem) throw new Error(`${review.problem.code}: ${review.problem.detail}`);
      }
      const shown = await (await as(who)).get<Answer<'request'>>(`/api/v1/requests/${asked.body.id}`);
      if (shown.body.grant === null) throw new Error(`request ${asked.body.id} is ${shown.body.state} and has no grant`);
      return await until(who, shown.body.grant, 'active');
    },
    async clientEnv(who, name = 'orders') {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const { body } = await (await as(who)).post<Answer<'issueCertificate'>>('/api/v1/certificates', { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) });
      const at = await mkdtemp(join(folder, `${who}-`));
      await writeFile(join(at, 'key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      await writeFile(join(at, 'cert'), body.certificate);
      await writeFile(join(at, 'ca'), body.authority);
      return {
        PATH: process.env['PATH'] ?? '', PGSSLMODE: 'verify-full', PGSSLKEY: join(at, 'key'), PGSSLCERT: join(at, 'cert'), PGSSLROOTCERT: join(at, 'ca'),
        PGHOST: 'localhost', PGPORT: String(last.brokerPort), PGUSER: who, PGDATABASE: name, PGCONNECT_TIMEOUT: '10',
      };
    },
    async roles() {
      const { rows } = await target.query("select rolname from pg_roles where rolname like 'brevet\\_%' and rolname not like 'brevet\\_estate\\_%' and rolname <> $1 order by 1", [ADMIN]);
      return rows.map((row: { rolname: string }) => row.rolname);
    },
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  };
}

/** Enrols a key for somebody by a one-time link, as the command line does. */
export async function signIn(server: RunningServer, name: string): Promise<Caller> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const { secret } = await server.app.store.transaction((tx) => issueLinkIn(tx, server.identity, name, 'system'));
  const signed = await send(server.address, 'POST', '/api/v1/sign-in/link', { link: secret, publicKey: pem, label: 'test' }, {});
  if (signed.problem) throw new Error(`${name} could not sign in: ${signed.problem.detail}`);
  return callerWith(server.address, name, (signed.body as Answer<'signInByLink'>).key, privateKey);
}

/** A caller with a key that is enrolled already: a workload, say. */
export function callerWith(address: string, name: string, keyId: string, privateKey: KeyObject): Caller {
  const raw: Caller['raw'] = async (method, path, text, headers = {}) => {
    const plain = { ...headers, ...(text === null ? {} : { 'content-type': 'application/json' }) };
    const signed = signRequest(
      { method, authority: new URL(address).host, target: path, headers: plain },
      text === null ? null : Buffer.from(text),
      { keyId, privateKey },
      { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) },
    );
    return (await send(address, method, path, text, { ...plain, ...signed })) as Reply<never>;
  };
  const call: Caller['call'] = (method, path, body, headers) => raw(method, path, body === undefined ? null : JSON.stringify(body), headers);
  return { name, keyId, privateKey, call, raw, get: (path) => call('GET', path), post: (path, body) => call('POST', path, body) };
}

/** `body` is sent as it is when it is text, else as JSON. */
async function send(address: string, method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Reply> {
  const text = body === undefined || body === null ? null : typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(address + path, { method, body: text, redirect: 'manual', headers: { ...(text === null ? {} : { 'content-type': 'application/json' }), ...headers } });
  const raw = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  const parsed: unknown = isJson && raw !== '' ? JSON.parse(raw) : raw;
  return { status: response.status, body: parsed, problem: response.status >= 400 && isJson ? (parsed as Problem) : null, headers: response.headers };
}

export { pg };
