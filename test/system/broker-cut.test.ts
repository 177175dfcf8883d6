/** At the deadline, on an order, without a lease, without a recorder: whatever a session is doing, it is cut. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test as bare } from 'node:test';
import pg from 'pg';
import { LEASE_MS } from '#app/gate/open-session.ts';
import { startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
/** The deadline of these sessions, counted from the ticket, and how late a cut may be (DESIGN, invariant 1). */
const DEADLINE_MS = 1500;
const EPSILON_MS = 1000;

let server: TestServer;
let world: BrokerWorld;

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server, { remainingMs: DEADLINE_MS });
  await server.query(`create table wide as select n, repeat('x', 1000) as x from generate_series(1, 100000) n; grant all on wide to carrier;
    create role other; grant other to carrier; create table others (n int); grant select on others to other; create table sink (n text);
    grant all on sink to carrier`);
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Runs psql until it is cut; answers what it printed and how long after the ticket the target was free of it. */
async function cutPsql(args: readonly string[], input: string | null): Promise<{ stderr: string; lateMs: number }> {
  let ticketAt = 0;
  world.gate.decide = async () => {
    ticketAt = performance.now();
    return null;
  };
  const psql = world.spawnPsql(args);
  psql.stdin?.on('error', () => undefined);
  psql.stdout?.resume();
  let stderr = '';
  psql.stderr?.on('data', (bytes) => (stderr += bytes));
  const exit = once(psql, 'exit');
  if (input !== null) psql.stdin?.write(input);
  await until(async () => (await world.backends()) === 1, 'the session');
  await until(async () => (await world.backends()) === 0, 'the end of the session on the target');
  const lateMs = performance.now() - ticketAt - DEADLINE_MS;
  world.gate.decide = null;
  // An idle psql hears of it when it next speaks.
  if (input !== null) psql.stdin?.end('select 1;\n');
  await exit;
  return { stderr, lateMs };
}

const SITUATIONS: Readonly<Record<string, readonly [readonly string[], string | null]>> = {
  idle: [[], 'select 1;\n'],
  'a running query': [['-c', 'select pg_sleep(60)'], null],
  'a query that refuses to be cancelled once': [['-c', `do $$ begin perform pg_sleep(60); exception when query_canceled then null; end $$`], null],
  'an open transaction': [[], 'begin; update wide set x = null where n = 1;\n'],
  'COPY out to a client that reads': [['-c', "copy (select v.n, repeat('y', 100) from wide w, wide v) to stdout"], null],
  'COPY in': [[], 'copy sink from stdin;\nrow\n'],
  'SET ROLE': [[], 'set role other; select * from others;\n'],
};

for (const [name, [args, input]] of Object.entries(SITUATIONS)) {
  test(`B03 deadline: ${name}`, async () => {
    const { stderr, lateMs } = await cutPsql(args, input);
    assert.ok(lateMs > -200 && lateMs < EPSILON_MS, `cut ${Math.round(lateMs)} ms after the deadline`);
    // In the middle of a message to the client there is no place for words.
    if (!name.startsWith('COPY out')) assert.match(stderr, /Brevet: this access ended at \S+Z: the granted time is over/);
    const recording = await world.recorded();
    assert.equal(recording.ended, 'deadline');
    if (name.startsWith('COPY out')) assert.ok((recording.statements.at(-1)?.received ?? 0) > 10_000_000, 'it was streaming');
    assert.equal(world.gate.ends.filter((end) => end.session === world.gate.lastSession).length, 1);
    if (name === 'a running query') assert.equal(recording.statements.at(-1)?.outcome, 'cut');
  });
}

test('B05 the broker stands still over the deadline: what came meanwhile does not reach the target', async () => {
  let ticketAt = 0;
  world.gate.decide = async () => {
    ticketAt = performance.now();
    return null;
  };
  const psql = world.spawnPsql(['-c', 'select 1', '-f', '-']);
  psql.stdout?.resume();
  psql.stderr?.resume();
  const exit = once(psql, 'exit');
  await until(async () => (await world.backends()) === 1, 'the session');
  // In a timer: so the next thing that the process hears of is what came in, and not that a deadline has passed.
  await new Promise<void>((resolve) => setTimeout(() => {
    psql.stdin?.end("insert into sink values ('too late');\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ticketAt + DEADLINE_MS + 100 - performance.now());
    resolve();
  }, 50));
  world.gate.decide = null;
  await exit;
  await until(async () => (await world.backends()) === 0, 'the end of the session');
  assert.deepEqual((await server.query("select n from sink where n = 'too late'")).rows, []);
  assert.equal((await world.recorded()).ended, 'deadline');
});

test('B05 a ticket that was long on its way gives no more time than is left when the session starts', async () => {
  world.gate.leftAtStart = 300;
  const { lateMs } = await cutPsql(['-c', 'select pg_sleep(60)'], null);
  world.gate.leftAtStart = null;
  assert.ok(lateMs < -DEADLINE_MS / 2, `cut ${Math.round(lateMs)} ms after the ticket's deadline`);
  assert.equal((await world.recorded()).ended, 'deadline');
});

test('B03 deadline: a pipeline of prepared statements', async () => {
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const lost = once(client, 'error').then(([error]) => (error as pg.DatabaseError).code);
  await client.connect();
  let last: unknown = null;
  const loop = (async () => {
    for (;;) await client.query({ name: 'one', text: 'select $1::int', values: [1] });
  })().catch((error: unknown) => (last = error));
  await Promise.race([loop, lost]);
  await until(async () => (await world.backends()) === 0, 'the end of the session');
  const recording = await world.recorded();
  assert.equal(recording.ended, 'deadline');
  assert.ok(recording.statements.length > 100);
  assert.ok(recording.statements.slice(0, -1).every((row) => row.sql === 'select $1::int' && row.outcome === 'ok'));
  assert.ok(last === null || last instanceof Error);
});

test('B03 deadline: a client that does not read', async () => {
  const psql = world.spawnPsql(['-c', "copy (select w.x from wide w, wide v) to stdout"]);
  // Its output is not read: psql stops, then the broker's buffers fill.
  await until(async () => (await world.backends()) === 1, 'the session');
  await until(async () => (await world.backends()) === 0, 'the end of the session');
  await until(() => world.broker.load.sessions === 0, 'the end of the report');
  psql.kill('SIGKILL');
  assert.equal((await world.recorded()).ended, 'deadline');
});

test('warn, then cut; and an extension moves the deadline', async () => {
  const { terms } = world.gate;
  world.gate.terms = { ...terms, endMode: 'warn_then_cut', warnMs: 1000 };
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const notices: string[] = [];
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  let ended = 0;
  client.on('error', () => (ended ||= performance.now()));
  await client.connect();
  const connected = performance.now();
  await until(() => notices.length === 1, 'the warning');
  assert.match(notices[0] ?? '', /will be cut in 1 seconds|will be cut in \d+ seconds/);
  world.gate.order({ session: world.gate.lastSession, order: 'deadline', remainingMs: 2500 });
  await until(() => notices.length === 2, 'the second warning');
  await until(() => ended > 0, 'the cut');
  assert.ok(ended - connected > 2500, 'it lived on');
  world.gate.terms = terms;
});

test('a session that begins inside the warning time is warned at once', async () => {
  const { terms } = world.gate;
  world.gate.terms = { ...terms, endMode: 'warn_then_cut', warnMs: 60_000 };
  const ran = await world.psql(['-Atc', 'select 1', '-c', 'select 2']);
  assert.match(ran.stderr, /WARNING: {2}Brevet: this session will be cut in [12] seconds/);
  world.gate.terms = terms;
});

test('an order cuts within a second, with the words of the gate', async () => {
  world.gate.terms = { ...world.gate.terms, remainingMs: 600_000 };
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const lost = new Promise<string>((resolve) => void client.on('error', (error) => resolve(error.message)));
  await client.connect();
  world.gate.order({ session: world.gate.lastSession, order: 'cut', reason: 'ended_by_admin', message: 'rob ended it' });
  assert.match(await lost, /Brevet: this access ended at .*: rob ended it/);
  await until(async () => (await world.backends()) === 0, 'the end on the target', EPSILON_MS);
  assert.equal((await world.recorded()).ended, 'ended_by_admin');
});

test('without the control plane a session lives for the grace, no longer', async () => {
  world.gate.terms = { ...world.gate.terms, leaseMs: 600, graceMs: 1500 };
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const lost = new Promise<string>((resolve) => void client.on('error', (error) => resolve(error.message)));
  await client.connect();
  await until(() => world.gate.renewals > 2, 'renewals');
  world.gate.renewFails = true;
  const from = performance.now();
  assert.match(await lost, /lost touch with Brevet/);
  const lived = performance.now() - from;
  assert.ok(lived > 1000 && lived < 1500 + EPSILON_MS, `it lived ${Math.round(lived)} ms`);
  world.gate.renewFails = false;
  assert.equal((await world.recorded()).ended, 'control_plane_lost');
});

test('a grace shorter than the time between two renewals cuts nothing that is well, and a gate that hangs is noticed', async () => {
  world.gate.terms = { ...world.gate.terms, leaseMs: LEASE_MS, graceMs: 2000 };
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const lost = new Promise<string>((resolve) => void client.on('error', (error) => resolve(error.message)));
  await client.connect();
  const before = world.gate.renewals;
  await until(() => world.gate.renewals >= before + 3, 'three renewals', 15_000);
  await client.query('select 1');
  world.gate.renewHangs = true;
  const from = performance.now();
  assert.match(await lost, /lost touch with Brevet/);
  const lived = performance.now() - from;
  assert.ok(lived > 2000 && lived < (2 * LEASE_MS) / 3 + EPSILON_MS, `it lived ${Math.round(lived)} ms`);
  world.gate.renewHangs = false;
  assert.equal((await world.recorded()).ended, 'control_plane_lost');
});

test('D07 recorder fails in mid-session: the session ends', async () => {
  world.gate.terms = { ...world.gate.terms, leaseMs: 15_000, graceMs: 30_000 };
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const lost = new Promise<string>((resolve) => void client.on('error', (error) => resolve(error.message)));
  await client.connect();
  await client.query('select 1');
  world.gate.recordFails = true;
  await client.query('select 2').catch(() => undefined);
  assert.match(await lost, /can no longer be recorded/);
  await until(async () => (await world.backends()) === 0, 'the end on the target', EPSILON_MS);
  await until(() => world.gate.ends.at(-1)?.reason === 'recorder_failed', 'the report');
  world.gate.recordFails = false;
});

test('D07 recorder down from the start: no session', async () => {
  world.gate.recordFails = true;
  const ran = await world.psql(['-c', 'select 1']);
  world.gate.recordFails = false;
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /FATAL: {2}Brevet: the session can not be recorded/);
  await until(async () => (await world.backends()) === 0, 'no backend');
  await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
  assert.equal(world.gate.ends.at(-1)?.reason, 'recorder_failed');
});
