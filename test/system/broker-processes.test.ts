/** Broker processes on one port: the gate over a channel, cancels between siblings, crashes, and a server that dies. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test as bare } from 'node:test';
import pg from 'pg';
import { cancelRequest } from '#brokers/postgres/messages.ts';
import { slotOf } from '#brokers/postgres/cancel-keys.ts';
import { readRecording } from '#brokers/postgres/recording.ts';
import { startBrokers, type Brokers, type BrokersSettings } from '#brokers/start-brokers.ts';
import { makeId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { openRaw } from '#test/worlds/raw-client.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
type RawPg = pg.Client & { processID: number; secretKey: number };

let server: TestServer;
/** Its own broker is only there for the gate, the account and the certificates. */
let world: BrokerWorld;
let brokers: Brokers;
let settings: BrokersSettings;
const log: string[] = [];

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server);
  const shown = await world.authority.issue('server', 'localhost');
  settings = {
    entry: join(import.meta.dirname, '../../src/main/broker.ts'),
    count: 2,
    host: '127.0.0.1',
    port: 0,
    tls: { cert: shown.cert, key: shown.key, ca: [world.authority.ca] },
    gate: world.gate,
    brokerIds: [0, 1].map(() => makeId('broker', Date.now(), randomBytes(10))),
    log: (level, message, facts) => void log.push(`${level} ${message} ${JSON.stringify(facts)}`),
    monotonic: () => performance.now(),
  };
  brokers = await startBrokers(settings);
});
after(async () => {
  await brokers.stop();
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function connect(port = brokers.port): Promise<RawPg> {
  const { handle, secret } = world.gate.issueToken();
  const client = new pg.Client({ host: '127.0.0.1', port, user: handle, password: secret, database: 'orders', ssl: { ca: world.authority.ca } }) as RawPg;
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

test('both processes serve, record, and a cancel finds its way to the right one', async () => {
  const clients = await Promise.all(Array.from({ length: 12 }, () => connect()));
  const slots = new Set(clients.map((client) => slotOf({ pid: client.processID, secret: 0 })));
  assert.deepEqual([...slots].sort(), [0, 1]);
  for (const client of clients) {
    const slept = client.query('select pg_sleep(60)').catch((error: pg.DatabaseError) => error.code);
    await new Promise((resolve) => setTimeout(resolve, 30));
    // The kernel chooses the process that hears the cancel: try until it is the other one as well.
    const raw = await openRaw(brokers.port);
    raw.end(cancelRequest(client.processID, client.secretKey));
    assert.equal(await slept, '57014');
  }
  await Promise.all(clients.map((client) => client.end()));
  await until(() => world.gate.ends.length === 12, 'every end');
  for (const { session } of world.gate.ends) {
    assert.deepEqual(readRecording(world.gate.recording(session)).statements.map((row) => row.outcome), ['error']);
  }
  assert.deepEqual(new Set(world.gate.asked.map((ask) => ask.broker)), new Set(settings.brokerIds));
});

test('orders and waiting clients that vanish pass through the channel', async () => {
  const client = await connect();
  const lost = new Promise<void>((resolve) => void client.once('end', () => resolve()));
  world.gate.order({ session: world.gate.lastSession, order: 'cut', reason: 'grant_ended', message: 'over' });
  await lost;
  let aborted = false;
  world.gate.decide = (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(((aborted = true), null))));
  const asked = world.gate.asked.length;
  const psql = world.spawnPsql(['-c', 'select 1'], { PGPORT: String(brokers.port) });
  await until(() => world.gate.asked.length > asked, 'the question');
  psql.kill('SIGKILL');
  await until(() => aborted, 'the signal');
  world.gate.decide = null;
});

test('a port that is taken is refused with a word', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as { port: number };
  await assert.rejects(startBrokers({ ...settings, port }), (error) => error instanceof Refusal && /is in use/.test(error.message));
  squatter.close();
  await assert.rejects(startBrokers({ ...settings, port: brokers.port }), /is in use/);
});

test('no secret in arguments or environment', async () => {
  const { readFile } = await import('node:fs/promises');
  for (const pid of brokers.pids) {
    const seen = (await readFile(`/proc/${pid}/cmdline`, 'latin1')) + (await readFile(`/proc/${pid}/environ`, 'latin1'));
    assert.ok(!/PRIVATE|carried|token/i.test(seen), seen);
  }
});

test('a process that dies loses its sessions, says so, and is started again', async () => {
  const client = await connect();
  const session = world.gate.lastSession;
  const pids = brokers.pids;
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await until(() => world.gate.ends.some((end) => end.session === session && end.reason === 'broker_lost'), 'the report');
  await until(async () => (await world.backends()) === 0, 'the end on the target');
  await until(() => brokers.pids.length === 2 && brokers.pids.every((pid) => !pids.includes(pid)), 'new processes');
  await until(() => connect().then((again) => again.end().then(() => true), () => false), 'service');
  await client.end().catch(() => undefined);
  assert.ok(log.some((line) => line.includes('a broker process ended')));
});

test('when the server dies the door closes at once, idle sessions live for the grace, and no process stays', async () => {
  // A server of its own, so that it can be killed: it starts one broker process and tells where.
  const child = fork(join(import.meta.dirname, '../worlds/broker-server.ts'), [], { execArgv: ['--disable-warning=ExperimentalWarning'], serialization: 'advanced' });
  child.send({ target: world.gate.terms, tls: settings.tls, entry: settings.entry });
  const [{ port, pids, token }] = (await once(child, 'message')) as [{ port: number; pids: number[]; token: { handle: string; secret: string } }];
  const open = async () => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: token.handle, password: token.secret, database: 'orders', ssl: { ca: world.authority.ca } });
    const heard = { message: '' };
    client.on('error', (error) => (heard.message ||= error.message));
    await client.connect();
    return { client, heard };
  };
  const idle = await open();
  const busy = await open();
  child.kill('SIGKILL');
  const died = performance.now();
  const closed = () => openRaw(port).then((raw) => (raw.destroy(), false), () => true);
  await until(closed, 'the door to close', 2000);
  // What nobody can record any more is not to go on.
  await busy.client.query('select 1').catch(() => undefined);
  await until(() => /can no longer be recorded/.test(busy.heard.message), 'the cut of the busy one', 1500);
  assert.equal(idle.heard.message, '', 'the idle one lives on');
  await until(() => /lost touch with Brevet/.test(idle.heard.message), 'the cut');
  const lived = performance.now() - died;
  assert.ok(lived > 1000 && lived < 4500, `it lived ${Math.round(lived)} ms`);
  const gone = () => pids.every((pid) => {
    try {
      return process.kill(pid, 0) && false;
    } catch {
      return true;
    }
  });
  await until(gone, 'the end of the process', 20_000);
});
