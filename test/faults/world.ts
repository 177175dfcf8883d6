/**
 * What is broken on purpose: three servers with a broker each on one PostgreSQL, three ways to two real targets, and
 * people with certificates. Every target writes down itself who did something on it, and when.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { applyIn } from '#app/configuration/apply-configuration.ts';
import { setTargetSecret } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { ADMIN, fillSampleDatabase } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { readSettings } from '#main/settings.ts';
import { startServer } from '#main/start-server.ts';
import { must } from '#test/worlds/brevet-steps.ts';
import { callerWith, signIn, type Caller, type Reply } from '#test/worlds/brevet-world.ts';
import { forgetClocksOfTheDead, movedClocks, noMovedClocks, type MovedClocks } from '#test/worlds/moved-clock.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { spawnServer, type ServerProcess } from '#test/worlds/server-process.ts';
import { tarpit, type Tarpit } from '#test/worlds/tarpit.ts';
import { walledNet, type WalledNet } from '#test/worlds/walled-net.ts';

/** One of the servers: a process that comes and goes, and clocks that stay. */
export interface Node {
  /** `null` while it is dead. */
  server: ServerProcess | null;
  readonly clocks: MovedClocks | null;
  /** Starts it, and tries again while the store is away. */
  start(): Promise<void>;
}

export interface Person {
  readonly name: string;
  readonly caller: Caller;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

export interface FaultWorld extends AsyncDisposable {
  readonly store: TestServer;
  readonly nodes: readonly Node[];
  /** By name: `pit` is another way to the server of `orders`, and `walled` stands in a network of its own. */
  readonly targets: ReadonlyMap<string, TestServer>;
  readonly pit: Tarpit;
  readonly wall: WalledNet | null;
  readonly people: readonly Person[];
  /** Why something can't be broken here. */
  readonly leftOut: readonly string[];
  /** Asks one of the servers that live; `null` when it does not answer in time. */
  ask<T>(who: Caller, pick: number, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Reply<T> | null>;
  readonly administrator: Caller;
}

const SECRET = 'of-brevet-admin';
const PATIENCE_MS = 5000;
/** Who does something on a target, and when, by the target itself. Past Brevet one comes by the socket, where no password is asked for. */
const RECORD = `set role ${ADMIN};
  create table shop.uses (at timestamptz not null default clock_timestamp(), account text not null default session_user, past_brevet boolean not null default (inet_client_addr() is null));
  create role recorder nologin; grant usage on schema shop to recorder; grant insert on shop.uses to recorder;
  create role kim login; grant connect on database orders to kim; grant usage on schema shop to kim`;
export const USE = 'insert into shop.uses default values';
const TARGET_SERVER = { hba: ['local all all trust', 'host all all 0.0.0.0/0 scram-sha-256'] };

/** What may be asked for: seconds on an account of one's own on each target, and seconds of a role for one's own account on one. */
export const entitlementsOf = (targets: Iterable<string>): readonly string[] => [...[...targets].map((name) => `use-${name}`), 'raise'];

function files(ports: ReadonlyMap<string, { readonly host: string; readonly port: number }>) {
  const names = [...ports.keys()];
  const kind = (name: string, part: string) => `  ${name}: { title: ${name}, folder: shop, maximum: 1m, end: cut, grace: 2s, parts: [${part}], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }`;
  const targets = [...ports].filter(([name]) => name !== 'orders').map(([name, { host, port }]) => `  ${name}: { type: postgresql, folder: shop, config: { host: ${host}, port: ${port}, database: orders, user: ${ADMIN}, tls: disable } }`);
  const text = ['targets:', ...targets, 'entitlements:',
    ...names.map((name) => kind(`use-${name}`, `{ target: ${name}, kind: ephemeral_account, scope: { database: orders, verbs: [insert], tables: [shop.uses] } }`)),
    kind('raise', '{ target: orders, kind: temporary_elevation, account: "{name}", scope: { roles: [recorder] } }'), ''].join('\n');
  const permits = names.map((name) => `@id("use-${name}")\n@reason("for the test")\npermit (principal in Group::"developers", action in [Action::"request", Action::"autoApprove"], resource in Target::"${name}");\n`);
  return [...demoFiles(ports.get('orders')?.port ?? 0), { path: 'faults.yaml', text }, { path: 'faults.cedar', text: permits.join('\n') }];
}

export async function faultWorld(): Promise<FaultWorld> {
  await using opening = new AsyncDisposableStack();
  const made = await walledNet().catch((error: Error) => error.message);
  const wall = typeof made === 'string' ? null : opening.use(made);
  const leftOut = [typeof made === 'string' ? made : null, noMovedClocks()].filter((reason) => reason !== null);
  const store = opening.use(await startTestServer());
  const orders = opening.use(await startTestServer(TARGET_SERVER));
  const pit = opening.use(await tarpit(orders.port));
  const walled = wall ? opening.use(await startTestServer({ ...TARGET_SERVER, net: wall })) : null;
  const folder = await mkdtemp(join(tmpdir(), 'brevet-faults-'));
  opening.defer(() => rm(folder, { recursive: true, force: true }));
  for (const server of [orders, ...(walled ? [walled] : [])]) {
    await fillSampleDatabase({ host: server.socket, port: server.port, user: server.user, password: server.password }, SECRET);
    await server.query(RECORD, [], 'orders');
  }
  await store.query('create database brevet');
  const settings = { DATABASE_URL: store.url('brevet'), BREVET_DATA: folder, BREVET_LOG_PUBLIC: 'true' };
  const ways = new Map<string, { readonly host: string; readonly port: number }>([['orders', orders], ['pit', { host: '127.0.0.1', port: pit.port }]]);
  const targets = new Map([['orders', orders], ['pit', orders]]);
  if (walled) for (const map of [ways, targets] as const) map.set('walled', walled);
  const { people, administrator } = await setUp(settings, ways);

  opening.defer(forgetClocksOfTheDead);
  const nodes: Node[] = [];
  for (const name of ['first', 'second', 'third']) nodes.push(await startNode(settings, noMovedClocks() === null ? await movedClocks(folder, name) : null));
  opening.defer(async () => {
    await Promise.all(nodes.map(({ server }) => server?.stop()));
  });
  const everything = opening.move();
  return {
    store, nodes, targets, pit, wall, people, administrator, leftOut,
    async ask<T>(who: Caller, pick: number, method: 'GET' | 'POST', path: string, body?: unknown) {
      const server = living(nodes, pick);
      if (!server) return null;
      const { call } = callerWith(server.address, who.name, who.keyId, who.privateKey);
      return await Promise.race([call<T>(method, path, body).catch(() => null), sleep(PATIENCE_MS, null, { ref: false })]);
    },
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  };
}

/** One of the servers that are not dead: they may be asleep. `pick` is from 0 to 1. */
export function living(nodes: readonly Node[], pick: number): ServerProcess | null {
  const alive = nodes.flatMap(({ server }) => server ?? []);
  return alive[Math.floor(pick * alive.length)] ?? null;
}

async function startNode(settings: Readonly<Record<string, string>>, clocks: MovedClocks | null): Promise<Node> {
  const node: Node = {
    server: null, clocks,
    async start() {
      for (let tries = 0; node.server === null; tries++) {
        node.server = await spawnServer({ ...settings, BREVET_BROKER_PROCESSES: '1', ...clocks?.env }).catch((error: unknown) => {
          if (tries > 20) throw error;
          return null;
        });
      }
    },
  };
  await node.start();
  return node;
}

/** By a server in this process that is gone before anything is broken. */
async function setUp(settings: Readonly<Record<string, string>>, ways: ReadonlyMap<string, { readonly host: string; readonly port: number }>) {
  const server = await startServer(readSettings({ ...settings, BREVET_HTTP_PORT: '0', BREVET_BROKER_PROCESSES: '0', BREVET_JOURNAL: 'silent' }, null));
  try {
    await server.app.store.transaction(async (tx) => {
      await applyIn(server.app, tx, files(ways), null, 'system');
      for (const { id } of await tx.catalogue.targets()) await setTargetSecret(server.app, tx, id, null, SECRET);
    });
    const people: Person[] = [];
    for (const name of ['ada', 'kim']) {
      const caller = await signIn(server, name);
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const { certificate, authority } = await must(caller.post<Answer<'issueCertificate'>>('/api/v1/certificates', { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) }));
      people.push({ name, caller, tls: { ca: authority, cert: certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() } });
    }
    return { people, administrator: await signIn(server, 'sam') };
  } finally {
    await server.stop();
  }
}
