/** What a client may try against the broker, and how little it gets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test as bare } from 'node:test';
import { int32, startupMessage, strings } from '#brokers/postgres/messages.ts';
import { runProgram, startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { bind, errorOf, execute, openRaw, openTls, parse, query, rawClient, signInRaw, sync } from '#test/worlds/raw-client.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);

let server: TestServer;
let world: BrokerWorld;

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server, {}, { stepMs: 2000, proofMs: 3000, perAddress: 20, waits: 3 });
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Every ticket is reported exactly once, nothing is open, and the target is free of us. */
async function nothingLeft(): Promise<void> {
  await until(() => world.gate.ends.length === world.gate.tickets.length, 'every end');
  await until(() => world.broker.load.sessions === 0 && world.broker.load.halfOpen === 0, 'no connection');
  await until(async () => (await world.backends()) === 0, 'no backend');
  assert.deepEqual(world.gate.ends.map((end) => end.session).sort(), world.gate.tickets.map((ticket) => ticket.session).sort());
}

test('B07 the client disappears at each await', async () => {
  const { gate } = world;
  const vanish = async (reached: () => boolean | Promise<boolean>): Promise<void> => {
    const psql = world.spawnPsql(['-c', 'select pg_sleep(30)']);
    const exit = once(psql, 'exit');
    await until(reached, 'the point where the client vanishes');
    psql.kill('SIGKILL');
    await exit;
  };
  let here = false;
  const hang = () => new Promise<never>(() => void (here = true));
  const reached = () => here;
  // While the gate decides: it hears of it by the signal, and here answers with a ticket all the same.
  let aborted = false;
  gate.decide = (_, signal) =>
    new Promise((resolve) => {
      here = true;
      signal.addEventListener('abort', () => {
        aborted = true;
        resolve(null);
      });
    });
  await vanish(reached);
  await until(() => aborted, 'the signal');
  gate.decide = null;
  await nothingLeft();
  // While the target is dialled.
  await server.pause();
  const tickets = gate.tickets.length;
  await vanish(() => gate.tickets.length > tickets);
  await until(() => gate.ends.length === gate.tickets.length, 'the report, though the target hangs');
  await server.resume();
  await nothingLeft();
  // While the gate takes note of the start.
  here = false;
  gate.onStarted = hang;
  await vanish(reached);
  gate.onStarted = null;
  await nothingLeft();
  // While the recording's header is saved.
  here = false;
  const { record } = gate;
  gate.record = hang;
  await vanish(reached);
  gate.record = record;
  await until(() => gate.ends.length === gate.tickets.length, 'the report');
  await nothingLeft();
  // In mid-statement: what runs on the target ends as well.
  await vanish(async () => (await server.query("select 1 from pg_stat_activity where query like '%pg_sleep(30)' and usename = 'carrier' and state = 'active'")).rowCount === 1);
  await nothingLeft();
});

test('A12 nothing of the target before the gate has said yes', async () => {
  await server.query('select pg_stat_reset()');
  const before = (await server.query("select sessions from pg_stat_database where datname = 'postgres'")).rows[0].sessions;
  world.gate.decide = async () => ({ refused: 'no_active_grant', message: 'you have no active grant for "orders"', hint: 'brevet request orders-read --reason "..."' });
  const ran = await world.psql(['-c', 'select 1']);
  world.gate.decide = null;
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /FATAL: {2}Brevet: you have no active grant for "orders"\nHINT: {2}brevet request orders-read --reason/);
  assert.ok(!/carrier|carried-secret/.test(ran.stderr) && !ran.stderr.includes(String(server.port)));
  const after = (await server.query("select sessions from pg_stat_database where datname = 'postgres'")).rows[0].sessions;
  assert.ok(Number(after) - Number(before) <= 3, 'only the test itself has connected');
});

test('a refused connection can wait for the approval in place', async () => {
  let asked: unknown = null;
  world.gate.decide = async (ask) => {
    asked = { wait: ask.waitSeconds, request: ask.request, target: ask.target, within: ask.within };
    await new Promise((resolve) => setTimeout(resolve, 1200));
    return null;
  };
  const options = { PGOPTIONS: '-c brevet.wait=5m -c brevet.request=orders-read -c brevet.reason=INC-1\\ please -c brevet.duration=30m', PGDATABASE: 'orders/postgres' };
  const ran = await world.psql(['-Atc', 'select 1'], options);
  world.gate.decide = null;
  assert.deepEqual(asked, { wait: 300, request: { entitlement: 'orders-read', reason: 'INC-1 please', duration: '30m' }, target: 'orders', within: 'postgres' });
  assert.deepEqual([ran.code, ran.stdout], [0, '1\n']);
  assert.match(ran.stderr, /NOTICE: {2}Brevet: waiting up to 5 minutes for the approval of "orders-read"/);
});

test('H02 only so many connections wait for an approval in one broker process, and who does not wait is let in', async () => {
  const { gate } = world;
  const asked = gate.asked.length;
  gate.decide = (ask, signal) =>
    new Promise((resolve) => {
      if (ask.waitSeconds === 0) return resolve(null);
      signal.addEventListener('abort', () => resolve({ refused: 'no_active_grant', message: 'gone', hint: null }));
    });
  const waiting = { PGOPTIONS: '-c brevet.wait=5m' };
  const three = Array.from({ length: 3 }, () => world.spawnPsql(['-c', 'select 1'], waiting));
  await until(() => gate.asked.length === asked + 3, 'three that wait');
  const fourth = await world.psql(['-c', 'select 1'], waiting);
  assert.match(fourth.stderr, /FATAL: {2}Brevet: too many connections wait for an approval here/);
  assert.equal((await world.psql(['-c', 'select 1'])).code, 0);
  assert.equal(gate.asked.length, asked + 4, 'the gate did not hear of the fourth');
  three[0]?.kill('SIGKILL');
  await until(async () => {
    const another = world.spawnPsql(['-c', 'select 1'], waiting);
    three.push(another);
    return await Promise.race([once(another, 'exit').then(() => false), new Promise<boolean>((resolve) => setTimeout(resolve, 500, true))]);
  }, 'the place of the one that gave up');
  const gone = three.filter((one) => one.exitCode === null && one.signalCode === null).map((one) => once(one, 'exit'));
  for (const one of three) one.kill('SIGKILL');
  await Promise.all(gone);
  gate.decide = null;
});

test('D09 a token opens one session: reuse, parallel use, a wrong secret, an unknown handle', async () => {
  const env = world.env();
  const all = await Promise.all(Array.from({ length: 8 }, () => runProgram('psql', ['-XAtc', 'select 1'], env)));
  assert.equal(all.filter((ran) => ran.code === 0).length, 1);
  assert.ok(all.every((ran) => ran.code === 0 || /token was used already/.test(ran.stderr)));
  assert.equal((await runProgram('psql', ['-XAtc', 'select 1'], env)).code, 2);
  const asked = world.gate.asked.length;
  const wrong = await world.psql(['-c', 'select 1'], { PGPASSWORD: 'wrong' });
  const unknown = await world.psql(['-c', 'select 1'], { PGUSER: 'mia/tok_unknown' });
  assert.equal(wrong.stderr, unknown.stderr);
  assert.match(wrong.stderr, /FATAL: {2}Brevet: this token does not open anything/);
  assert.equal(world.gate.asked.length, asked, 'the gate is asked only when the proof holds');
});

test('H01 connections that say little are few and short', async () => {
  const slow = await Promise.all(Array.from({ length: 60 }, () => openRaw(world.broker.port)));
  let open = slow.length;
  for (const raw of slow) raw.on('close', () => void (open -= 1));
  const drip = setInterval(() => slow.forEach((raw) => raw.writable && raw.write('\0')), 400).unref();
  await until(() => open <= 20, 'the surplus to be closed, long before the rest', 1000);
  assert.equal(open, 20);
  // Another address is served meanwhile.
  const other = await openRaw(world.broker.port, '127.0.0.2');
  other.write(Buffer.concat([int32(8), int32(80877103)]));
  await once(other, 'readable');
  assert.equal(String(other.read(1)), 'S');
  await until(() => open === 0, 'the slow ones to be closed', 5000);
  clearInterval(drip);
  // One stops in the TLS handshake, one after its startup packet.
  const started = rawClient(await openTls(world.broker.port));
  started.send(startupMessage([['user', 'x/tok_1']]));
  await until(() => started.leg.gone && other.destroyed, 'both to be closed', 5000);
  await until(() => world.broker.load.halfOpen === 0, 'nobody half open');
});

test('a connection must be encrypted, and begins as the protocol says', async () => {
  const plain = await world.psql(['-c', 'select 1'], { PGSSLMODE: 'disable' });
  assert.match(plain.stderr, /FATAL: {2}Brevet: connections must be encrypted\nHINT: {2}Connect with sslmode=require/);
  const answer = async (bytes: Buffer): Promise<string> => {
    const raw = await openRaw(world.broker.port);
    let said = '';
    raw.on('data', (chunk) => (said += chunk.toString('latin1')));
    raw.write(bytes);
    await Promise.race([once(raw, 'close'), new Promise((resolve) => setTimeout(resolve, 300))]);
    raw.destroy();
    return said;
  };
  const gss = Buffer.concat([int32(8), int32(80877104)]);
  const ssl = Buffer.concat([int32(8), int32(80877103)]);
  assert.equal(await answer(gss), 'N');
  assert.equal(await answer(Buffer.concat([ssl, Buffer.from('stuffed')])), '', 'bytes in front of the handshake end it');
  assert.equal(await answer(Buffer.from('GET / HTTP/1.1\r\n\r\n')), '');
  assert.equal(await answer(Buffer.concat([int32(16), int32(80877102), int32(1), int32(2)])), '', 'a wrong cancel key');
  // PostgreSQL 17's direct TLS: only with the protocol's name.
  const direct = rawClient(await openTls(world.broker.port, 'postgresql'));
  direct.send(startupMessage([['user', 'x/tok_1']]));
  assert.equal((await direct.until('R')).length, 1);
  direct.close();
  const nameless = await openTls(world.broker.port, null);
  let closed = false;
  nameless.on('end', () => (closed = true)).on('close', () => (closed = true)).resume();
  await until(() => closed, 'the end at once, not by impatience', 1000);
});

test('startup packets that are refused', async () => {
  const say = async (parameters: [string, string][]) => {
    const client = rawClient(await openTls(world.broker.port));
    client.send(startupMessage([['user', 'x/tok_1'], ...parameters]));
    return errorOf(await client.until('E'));
  };
  assert.equal((await say([['replication', 'database']]))?.code, '0A000');
  assert.equal((await say([['options', '-c role=postgres']]))?.code, '42501');
  assert.equal((await say([['Session_Authorization', 'postgres']]))?.code, '42501');
  assert.equal((await say([['options', '-c brevet.nothing=1']]))?.code, '22023');
  assert.equal((await say([['options', '-c brevet.request=a -c brevet.duration=-5m']]))?.code, '22023');
  assert.equal((await say([['options', '-S 5']]))?.code, '22023');
  const huge = rawClient(await openTls(world.broker.port));
  huge.send(Buffer.concat([int32(1 << 30), int32(0x30000)]));
  assert.equal(errorOf(await huge.until('E'))?.code, '08P01');
});

test('protocol 3.2 and unknown options are negotiated down', async () => {
  const newer = (parameters: readonly (readonly [string, string])[]) => {
    const body = Buffer.concat([int32(0x30002), strings(...parameters.flat(), '_pq_.compression', 'on'), Buffer.of(0)]);
    return Buffer.concat([int32(body.length + 4), body]);
  };
  const { client, greeting } = await signInRaw(world.broker.port, world.gate.issueToken(), [], newer);
  const negotiate = greeting.find((message) => message.type === 'v'.charCodeAt(0));
  assert.deepEqual(negotiate?.body, Buffer.concat([int32(0), int32(1), strings('_pq_.compression')]));
  assert.equal(greeting.at(-1)?.type, 'Z'.charCodeAt(0));
  client.close();
});

test('frames that can\'t be end the session', async () => {
  const bad: Readonly<Record<string, Buffer>> = {
    'a length below four': Buffer.from([0x51, 0, 0, 0, 3]),
    'a negative length': Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]),
    'a gigabyte and more': Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]),
    'a long Sync': Buffer.from([0x53, 0, 1, 0, 0]),
    'an unknown type': Buffer.from([0x00, 0, 0, 0, 4]),
    'a password message': Buffer.from([0x70, 0, 0, 0, 4]),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
    client.send(bytes);
    assert.equal(errorOf(await client.until('E'))?.code, '08P01', what);
    await until(() => client.leg.gone, 'the end');
  }
  await nothingLeft();
});

test('the recording shows what ran, not what a client would like it to show', async () => {
  await server.query("create table if not exists secrets as select 'x' as s; grant all on secrets to carrier");
  const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
  // The second Parse of the same name fails; the first text stays.
  client.send(parse('s', 'select s from secrets'), sync());
  await client.until('Z');
  client.send(parse('s', 'select 1'), sync());
  await client.until('Z');
  client.send(bind('', 's'), execute(''), sync());
  await client.until('Z');
  // Names that differ only behind 63 bytes are one name to PostgreSQL.
  const long = 'n'.repeat(63);
  client.send(parse(`${long}a`, 'select 2'), sync(), bind('p', `${long}b`), execute('p'), sync());
  await client.until('Z');
  await client.until('Z');
  // A pipeline breaks off at an error: what is behind it did not run.
  client.send(parse('', 'select 3'), bind('', ''), execute(''), parse('', 'select 1/0'), bind('', ''), execute(''), parse('', 'delete from secrets'), bind('', ''), execute(''), sync());
  await client.until('Z');
  client.send(query('set role carrier'), query("alter role carrier password 'hush-hush'"), query("select 'after the secret'::int"));
  for (let n = 0; n < 3; n++) await client.until('Z');
  client.send(Buffer.from([0x58, 0, 0, 0, 4]));
  const { statements, ended } = await world.recorded();
  assert.deepEqual(
    statements.map((row) => [row.sql, row.outcome, row.notable]),
    [
      ['select 1', 'error', false],
      ['select s from secrets', 'ok', false],
      ['select 2', 'ok', false],
      ['select 3', 'ok', false],
      ['select 1/0', 'error', false],
      ['delete from secrets', 'skipped', false],
      ['set role carrier', 'ok', true],
      ['alter role carrier password ?', 'ok', false],
      ["select 'after the secret'::int", 'error', false],
    ],
  );
  assert.equal(statements.at(-1)?.said, '22P02', 'no messages after a password was typed: they may quote it');
  assert.equal(ended, 'client_closed');
  await server.query("alter role carrier password 'carried-secret'");
});

test('literals are masked when the entitlement says so', async () => {
  world.gate.terms = { ...world.gate.terms, maskLiterals: true };
  await world.psql(['-c', "select 4111111111111111 as card, 'anna@example.org' -- anna\n, $$x$$", '-c', "select 'not a number'::int"]);
  const recording = await world.recorded();
  assert.deepEqual(recording.statements.map((row) => row.sql), ['select ? as card, ?  \n, ?', 'select ?::int']);
  const bytes = Buffer.concat(world.gate.recording(world.gate.lastSession)).toString('latin1');
  assert.ok(!/4111|anna@|not a number/.test(bytes));
  world.gate.terms = { ...world.gate.terms, maskLiterals: false };
});
