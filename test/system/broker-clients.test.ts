/** Real clients through the broker: what they print is what they print without it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test as bare } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { cancelRequest } from '#brokers/postgres/messages.ts';
import { runProgram, startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { openTls } from '#test/worlds/raw-client.ts';

/** Every test ends: a client that hangs is a failure, not a wait. */
const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);

let server: TestServer;
let world: BrokerWorld;

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server);
  await server.query(`create schema shop authorization carrier;
    create table shop.orders (id int primary key, customer text, total numeric(10,2), at timestamptz, note bytea);
    insert into shop.orders select n, 'Kunde ' || n || ' ünïcode', n * 1.25, '2026-01-01Z'::timestamptz + n * interval '1 hour', decode(md5(n::text), 'hex')
      from generate_series(1, 5000) n;
    alter table shop.orders owner to carrier`);
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** libpq's environment for the target itself. */
function direct(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'], HOME: '/nonexistent', PGHOST: server.host, PGPORT: String(server.port), PGUSER: 'carrier', PGPASSWORD: 'carried-secret',
    PGDATABASE: 'postgres',
  };
}

test('psql prints the same, errors and notices included', async () => {
  const script = `
    select * from shop.orders order by id limit 3;
    \\d shop.orders
    do $$ begin raise notice 'hello %', 7; end $$;
    select 1/0;
    select nothing;
    begin; insert into shop.orders values (0); savepoint s; insert into shop.orders values (0); rollback to s; commit; delete from shop.orders where id = 0;
    copy (select id, customer from shop.orders order by id limit 5) to stdout;
    select count(*) from shop.orders \\; select 2;
    prepare p as select $1::int + 1; execute p (41);
    listen l; notify l, 'word';
    \\encoding LATIN1
    select convert_from(convert_to('ü', 'LATIN1'), 'LATIN1') = 'ü';`;
  const [through, straight] = await Promise.all([
    world.psql(['-c', 'select 1', ...script.split(';\n').flatMap((line) => ['-c', line.trim()])]),
    runProgram('psql', ['-X', '-c', 'select 1', ...script.split(';\n').flatMap((line) => ['-c', line.trim()])], direct()),
  ]);
  const clean = (text: string) => text.replaceAll(/server process with PID \d+/g, 'PID');
  assert.equal(clean(through.stdout), clean(straight.stdout));
  assert.equal(through.stderr, straight.stderr);
  assert.equal(through.code, straight.code);
  const recording = await world.recorded();
  const found = (part: string) => recording.statements.find((row) => row.sql.includes(part));
  assert.deepEqual([found('limit 3')?.rows, found('limit 3')?.outcome, found('limit 3')?.said], [3, 'ok', 'SELECT 3']);
  assert.deepEqual([found('1/0')?.outcome, found('1/0')?.said], ['error', '22012 division by zero']);
  assert.equal(found('select nothing')?.said.slice(0, 5), '42703');
});

test('a large COPY arrives whole, both ways', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-copy-'));
  const query = "copy (select n, md5(n::text), repeat('x', n % 700) from generate_series(1, 200000) n) to stdout";
  const sum = ['-c', `psql -XAtqc "${query}" | sha256sum`];
  const [through, straight] = [await runProgram('sh', sum, world.env()), await runProgram('sh', sum, direct())];
  assert.equal(through.stdout, straight.stdout);
  await server.query('create table copied (n int, m text, x text); alter table copied owner to carrier');
  const into = await runProgram('sh', ['-c', `psql -XAtqc "${query}" | psql -XAtqc "copy copied from stdin"`], world.env());
  assert.match(into.stderr, /token was used already/, 'one token is one session, and this pipe has two');
  const file = join(folder, 'rows');
  await runProgram('sh', ['-c', `psql -XAtqc "${query}" > ${file}`], direct());
  assert.deepEqual(await world.psql(['-qc', `\\copy copied from ${file}`]), { code: 0, stdout: '', stderr: '' });
  const row = (await world.recorded()).statements.find((each) => /copy/i.test(each.sql));
  assert.equal(row?.said, 'COPY 200000');
  assert.ok((row?.sent ?? 0) > 70_000_000, 'data is counted');
  const back = await runProgram('sh', ['-c', 'psql -XAtqc "copy (select * from copied order by n) to stdout" | sha256sum'], direct());
  assert.equal(back.stdout, straight.stdout);
  await rm(folder, { recursive: true });
});

test('pg_dump and pg_restore carry a schema over, byte for byte', async () => {
  await server.query('create database copy1 owner carrier');
  const args = ['-n', 'shop', '--no-owner'];
  const straight = await runProgram('pg_dump', args, direct());
  const through = await runProgram('pg_dump', args, world.env());
  // The tokens of psql's \restrict are random in each dump.
  const clean = (text: string) => text.replaceAll(/^\\(un)?restrict .*$/gm, '');
  assert.equal(clean(through.stdout), clean(straight.stdout));
  assert.equal(through.stderr, '');
  const folder = await mkdtemp(join(tmpdir(), 'brevet-dump-'));
  const dump = join(folder, 'dump');
  assert.equal((await runProgram('pg_dump', ['-Fc', '-f', dump, ...args], world.env())).code, 0);
  const restore = await runProgram('pg_restore', ['--no-owner', '-d', 'orders/copy1', dump], world.env());
  assert.deepEqual(restore, { code: 0, stdout: '', stderr: '' });
  const restored = await runProgram('pg_dump', [...args, 'copy1'], direct());
  assert.equal(clean(restored.stdout), clean(straight.stdout));
  await rm(folder, { recursive: true });
});

test('pgbench runs in every query mode', async () => {
  assert.equal((await runProgram('pgbench', ['-i', '-q', '-s', '1'], direct())).code, 0);
  world.gate.oneTime = false;
  for (const mode of ['simple', 'extended', 'prepared']) {
    const ran = await runProgram('pgbench', ['-n', '-M', mode, '-c', '4', '-j', '2', '-t', '25'], world.env());
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /actually processed: 100\/100/);
    const recording = await world.recorded();
    const updates = recording.statements.filter((row) => row.sql.startsWith('UPDATE pgbench_accounts'));
    assert.equal(updates.length, 25);
    assert.ok(updates.every((row) => row.outcome === 'ok' && row.rows === 1 && row.prepared === (mode !== 'simple')));
  }
  world.gate.oneTime = true;
});

test('the driver pg: parameters, names, cursors, errors, pipelined queries', async () => {
  const through = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } });
  const straight = new pg.Client({ host: server.host, port: server.port, user: 'carrier', password: 'carried-secret', database: 'postgres' });
  await Promise.all([through.connect(), straight.connect()]);
  const ask = async (client: pg.Client) => {
    const all = await Promise.all([
      client.query('select * from shop.orders where id = any($1) order by id', [[1, 2, 3]]),
      client.query({ name: 'by id', text: 'select customer from shop.orders where id = $1', values: [7] }),
      client.query('select $1::int / $2::int as q', [1, 0]).catch((error: pg.DatabaseError) => ({ rows: [[error.code, error.message]] })),
      client.query({ name: 'by id', text: 'select customer from shop.orders where id = $1', values: [8] }),
      client.query('select typo').catch((error: pg.DatabaseError) => ({ rows: [error.code, error.position] })),
    ]);
    return all.map((result) => result.rows);
  };
  assert.deepEqual(await ask(through), await ask(straight));
  await Promise.all([through.end(), straight.end()]);
  const { statements } = await world.recorded();
  assert.deepEqual(
    statements.map((row) => [row.sql.slice(0, 12), row.outcome, row.rows]),
    [['select * fro', 'ok', 3], ['select custo', 'ok', 1], ['select $1::i', 'error', 0], ['select custo', 'ok', 1], ['select typo', 'error', 0]],
  );
});

test('the driver postgres: a pipeline, a transaction, a cursor, COPY as a stream', async () => {
  const sql = postgres(world.url(), { ssl: { ca: world.authority.ca }, max: 1, onnotice: () => undefined });
  const many = await Promise.all(Array.from({ length: 40 }, (_, n) => sql`select id, customer from shop.orders where id = ${n + 1}`));
  assert.deepEqual(many.map(([row]) => row?.['id']), Array.from({ length: 40 }, (_, n) => n + 1));
  let seen = 0;
  await sql`select id from shop.orders order by id`.cursor(700, (rows) => void (seen += rows.length));
  assert.equal(seen, 5000);
  await assert.rejects(sql.begin(async (tx) => {
    await tx`delete from shop.orders`;
    throw new Error('never mind');
  }), /never mind/);
  const copy = await sql`copy (select id from shop.orders order by id limit 3) to stdout`.readable();
  let text = '';
  copy.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await once(copy, 'end');
  assert.equal(text, '1\n2\n3\n');
  await sql.end();
  const cursor = (await world.recorded()).statements.filter((row) => row.sql.includes('order by id') && row.prepared);
  assert.deepEqual(cursor.map((row) => row.outcome).slice(0, 8), [...Array.from({ length: 7 }, () => 'suspended'), 'ok']);
});

test('Ctrl-C in psql cancels the statement', async () => {
  const psql = world.spawnPsql(['-Atc', 'select pg_sleep(60)']);
  const exit = once(psql, 'exit');
  let err = '';
  psql.stderr?.on('data', (bytes) => (err += bytes));
  const sleeping = async () => (await server.query("select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'")).rowCount === 1;
  await until(sleeping, 'the statement to run');
  psql.kill('SIGINT');
  await exit;
  assert.match(err, /canceling statement due to user request/);
  assert.deepEqual((await world.recorded()).statements.map((row) => [row.outcome, row.said.slice(0, 5)]), [['error', '57014']]);
});

/** A cancel request that comes before the query hits nothing, as it should: the target is to be seen at work first. */
async function asleep(): Promise<void> {
  const busy = "select count(*)::int as n from pg_stat_activity where usename = 'carrier' and state = 'active' and query like '%pg_sleep%'";
  await until(async () => (await server.query(busy)).rows[0].n === 1, 'the query to run on the target');
}

test('a cancelled session goes on, and a wrong key cancels nothing', async () => {
  const client = new pg.Client({ connectionString: world.url(), ssl: { ca: world.authority.ca } }) as pg.Client & { processID: number; secretKey: number };
  await client.connect();
  const cancel = (secret: number) => {
    const raw = connect(world.broker.port, '127.0.0.1');
    raw.write(cancelRequest(client.processID, secret));
    return once(raw.resume(), 'close');
  };
  let over = false;
  const slept = client.query('select pg_sleep(60)').catch((error: pg.DatabaseError) => error.code).finally(() => (over = true));
  await asleep();
  await cancel(client.secretKey ^ 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(over, false);
  await cancel(client.secretKey);
  assert.equal(await slept, '57014');
  assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
  // libpq 17 encrypts its cancel requests.
  const again = client.query('select pg_sleep(60)').catch((error: pg.DatabaseError) => error.code);
  await asleep();
  const encrypted = await openTls(world.broker.port);
  // The connection of the cancel request may be closed before the query's end has arrived.
  const closed = once(encrypted, 'close');
  encrypted.resume().write(cancelRequest(client.processID, client.secretKey));
  assert.equal(await again, '57014');
  await closed;
  await client.end();
});

test('a session keeps its settings, and the ticket\'s settings win', async () => {
  world.gate.terms = { ...world.gate.terms, upstream: { ...world.gate.terms.upstream, settings: { default_transaction_read_only: 'on' } } };
  const options = '-c work_mem=7MB -c Default_Transaction_Read_Only=off --extra-float-digits=0';
  const asked = await world.psql(['-At', '-c', 'show work_mem', '-c', 'show default_transaction_read_only', '-c', 'show application_name', '-c', 'create table t ()'], {
    PGOPTIONS: options, PGAPPNAME: 'my tool',
  });
  assert.equal(asked.stdout, '7MB\non\nmy tool\n');
  assert.match(asked.stderr, /read-only transaction/);
  world.gate.terms = { ...world.gate.terms, upstream: { ...world.gate.terms.upstream, settings: {} } };
});

test('a client certificate signs in without a token', async () => {
  world.gate.certificates.add('per_mia');
  const own = await world.authority.issue('client', 'per_mia');
  const files = { PGSSLCERT: join(own.folder, 'cert.pem'), PGSSLKEY: join(own.folder, 'key.pem'), PGUSER: 'mia', PGPASSWORD: '' };
  assert.deepEqual(await world.psql(['-Atc', 'select 1'], files), { code: 0, stdout: '1\n', stderr: '' });
  const { proof } = world.gate.asked.at(-1) as { proof: { by: string; fingerprint?: string; subject?: string } };
  assert.equal(proof.by, 'certificate');
  assert.equal(proof.subject, 'per_mia');
  assert.match(proof.fingerprint ?? '', /^[0-9a-f]{64}$/);
});
