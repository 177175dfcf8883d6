/** Statements of megabytes: what stands at their end is recorded like what stands at their beginning. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test as bare } from 'node:test';
import { MOST_TEXT, TAIL } from '#brokers/postgres/long-text.ts';
import type { StatementRow } from '#brokers/postgres/recording.ts';
import { startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { bind, execute, parse, query, signInRaw, sync } from '#test/worlds/raw-client.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
const MEBIBYTE = 1024 * 1024;
const PADDING = 'nothing to see here '.repeat(MEBIBYTE / 20);
const GOODBYE = Buffer.from([0x58, 0, 0, 0, 4]);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
let server: TestServer;
let world: BrokerWorld;

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server);
  await server.query("create table prices (item text, price int); insert into prices values ('tea', 1); grant all on prices to carrier");
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const price = async () => ((await server.query('select price from prices')).rows[0] as { price: number }).price;

/** Runs one statement by psql, which reads it from its input. */
async function byPsql(sql: string): Promise<void> {
  const psql = world.spawnPsql(['-q', '-v', 'ON_ERROR_STOP=1']);
  psql.stdin?.end(`${sql};\n`);
  const [code] = (await once(psql, 'exit')) as [number];
  assert.equal(code, 0);
}

async function raw(send: (client: Awaited<ReturnType<typeof signInRaw>>['client']) => void): Promise<readonly StatementRow[]> {
  const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
  send(client);
  await client.until('Z');
  client.send(GOODBYE);
  return (await world.recorded()).statements;
}

test('D01 what psql sends behind a mebibyte of comment is recorded', async () => {
  const sql = `with harmless as (select 1) /* ${PADDING} */ update prices set price = 7 where item = 'tea'`;
  await byPsql(sql);
  assert.equal(await price(), 7);
  const [statement] = (await world.recorded()).statements;
  assert.ok(statement?.sql === `${sql};` || statement?.sql === sql, `${statement?.sql.length} characters recorded of ${sql.length}`);
  assert.deepEqual([statement.truncated, statement.masked, statement.outcome], [false, false, 'ok']);
  assert.deepEqual(statement.long, { bytes: statement.sql.length, sha256: sha256(statement.sql) });
});

test('D01 so is what is prepared, whole with its first execution', async () => {
  const sql = `/* ${PADDING} */ update prices set price = price + 1`;
  const statements = await raw((client) => client.send(parse('long', sql), ...[1, 2].flatMap(() => [bind('', 'long'), execute('')]), sync()));
  assert.deepEqual(statements.map((one) => [one.sql === sql, sql.startsWith(one.sql), one.truncated, one.outcome]), [[true, true, false, 'ok'], [false, true, true, 'ok']]);
});

test('D01 beyond the bound the end of a statement is recorded, and the hash of all of it', async () => {
  const end = ' update prices set price = 99';
  const sql = `with harmless as (select 1) /* ${'x'.repeat(MOST_TEXT + 5 * MEBIBYTE)} */${end}`;
  const [statement] = await raw((client) => client.send(query(sql)));
  assert.equal(await price(), 99);
  const left = sql.length - MOST_TEXT - TAIL;
  assert.ok(statement?.sql === `${sql.slice(0, MOST_TEXT)}\n[${left} bytes are not recorded here]\n${sql.slice(-TAIL)}`);
  assert.deepEqual([statement.truncated, statement.long], [true, { bytes: sql.length, sha256: sha256(sql) }]);
});

test('in a long statement literals and passwords are masked as in a short one', async () => {
  const password = `alter role carrier /* ${PADDING} */ password 'hush-hush'`;
  const [spoken] = await raw((client) => client.send(query(password)));
  await server.query("alter role carrier password 'carried-secret'");
  assert.ok(spoken?.sql === password.replace("'hush-hush'", '?'), spoken?.sql.slice(-100));
  assert.deepEqual([spoken.masked, spoken.truncated], [true, false]);
  world.gate.terms = { ...world.gate.terms, maskLiterals: true };
  try {
    const rows = Array.from({ length: 60_000 }, (_, n) => `('card 4111${n}')`).join(', ');
    const [masked] = await raw((client) => client.send(query(`create temp table t as values ${rows}`)));
    assert.ok(masked?.sql === `create temp table t as values ${rows.replace(/'[^']*'/g, '?')}`);
    assert.equal(masked.outcome, 'ok');
    assert.ok(!Buffer.concat(world.gate.recording(world.gate.lastSession)).includes('4111'));
  } finally {
    world.gate.terms = { ...world.gate.terms, maskLiterals: false };
  }
});

test('one that breaks off in the middle is shown as far as it came, as cut', async () => {
  const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
  const sql = `select '${'x'.repeat(2 * MEBIBYTE)}'`;
  client.send(query(sql).subarray(0, 1_500_000));
  await until(() => world.gate.recording(world.gate.lastSession).length > 10, 'pieces in the recording');
  client.close();
  const [statement] = (await world.recorded()).statements;
  assert.ok(sql.startsWith(statement?.sql ?? 'nothing') && (statement?.sql.length ?? 0) > MEBIBYTE);
  assert.deepEqual([statement?.truncated, statement?.outcome], [true, 'cut']);
});

test('a recorder that is slow holds a long statement back instead of filling memory', async () => {
  const { gate } = world;
  const record = gate.record.bind(gate);
  let most = 0;
  let under = 0;
  gate.record = async (chunk) => {
    under += chunk.bytes.length;
    most = Math.max(most, under);
    await new Promise((resolve) => setTimeout(resolve, 30));
    under -= chunk.bytes.length;
    await record(chunk);
  };
  try {
    const sql = `select length('${'y'.repeat(10 * MEBIBYTE)}')`;
    const [statement] = await raw((client) => client.send(query(sql)));
    assert.ok(statement?.sql === sql && statement.outcome === 'ok');
    assert.ok(most <= 8 * 140_000, `${most} bytes on their way at once`);
  } finally {
    gate.record = record;
  }
});
