/** Ways to do something on the target that the recording does not show, or shows as something else. */
import assert from 'node:assert/strict';
import { after, before, test as bare } from 'node:test';
import { frame, strings } from '#brokers/postgres/messages.ts';
import { startBrokerWorld, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { bind, execute, parse, query, signInRaw, sync, type RawClient } from '#test/worlds/raw-client.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
let server: TestServer;
let world: BrokerWorld;

before(async () => {
  server = await startTestServer();
  world = await startBrokerWorld(server);
  await server.query('create table done (what text); grant all on done to carrier');
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const row = (text: string) => frame('d', Buffer.from(text));
const copyDone = () => frame('c', Buffer.alloc(0));
const copyFail = () => frame('f', strings('no'));
const describe = (name: string) => frame('D', Buffer.concat([Buffer.from('S'), strings(name)]));
const flush = () => frame('H', Buffer.alloc(0));
const goodbye = () => frame('X', Buffer.alloc(0));
const whole = (sql: string) => [parse('', sql), bind('', ''), execute(''), sync()];
const EVIL = "insert into done values ('evil')";

const open = async (): Promise<RawClient> => (await signInRaw(world.broker.port, world.gate.issueToken())).client;
const shown = async () => (await world.recorded()).statements.map(({ sql, outcome }) => `${outcome}: ${sql}`);

test('COPY whose Sync comes with its Execute, as libpq sends it, is recorded like any other', async () => {
  const client = await open();
  client.send(parse('', 'copy done from stdin'), bind('', ''), execute(''), sync());
  await client.until('G');
  client.send(row('a\n'), row('b\n'), copyDone(), sync());
  await client.until('Z');
  client.send(...whole('select 1'));
  await client.until('Z');
  client.send(parse('', 'copy done from stdin'), bind('', ''), execute(''), sync());
  await client.until('G');
  client.send(copyFail(), sync());
  await client.until('Z');
  client.send(...whole('select 2'), query('select 3'), goodbye());
  await client.until('?');
  assert.deepEqual(await shown(), ['ok: copy done from stdin', 'ok: select 1', 'error: copy done from stdin', 'ok: select 2', 'ok: select 3']);
});

/** Each begins with what makes the target answer less, or later, than was asked; what follows must not go unseen. */
const ASTRAY: Readonly<Record<string, (client: RawClient) => Promise<void>>> = {
  'a Sync that COPY passes over': async (client) => {
    client.send(query('copy done from stdin'));
    await client.until('G');
    client.send(sync(), row('x\n'), copyDone());
    await client.until('Z');
  },
  'many Syncs that COPY passes over, sent before it answers': async (client) => {
    client.send(query('copy done from stdin'), sync(), sync(), sync(), row('x\n'), copyDone());
    await client.until('Z');
  },
  'a COPY that fails with a Sync under way': async (client) => {
    client.send(query('copy done from stdin'));
    await client.until('G');
    client.send(row('x\ty\tz\n'), sync(), copyDone(), sync());
    await client.until('Z');
  },
  'a query that a wrong Describe makes the target pass over': async (client) => {
    client.send(describe('nothing of this name'), query('select 0'), sync());
    await client.until('Z');
  },
  'a wrong Describe, and what follows it later': async (client) => {
    client.send(describe('nothing of this name'), flush());
    await client.until('E');
    client.send(query('select 0'), sync());
    await client.until('Z');
  },
};

for (const [name, attack] of Object.entries(ASTRAY)) {
  test(`D01 what is done behind ${name} is recorded`, async () => {
    await server.query('truncate done');
    const client = await open();
    await attack(client);
    client.send(...whole(EVIL));
    await client.until('Z');
    client.send(query("select 'harmless'"));
    await client.until('Z');
    client.send(query("select 'harmless too'"), goodbye());
    await client.until('?');
    const statements = await shown();
    const { rows } = await server.query("select count(*)::int as n from done where what = 'evil'");
    const did = statements.filter((one) => one.endsWith(EVIL));
    // Cut for what it did before, or recorded as what it was: as done, or, when it was the last thing, as not answered.
    if ((rows[0] as { n: number }).n > 0) assert.ok(did.length === 1 && /^(?:ok|cut)/.test(did[0] as string), JSON.stringify(statements));
    assert.ok(!statements.some((one) => one.startsWith('skipped') && one.endsWith(EVIL)), JSON.stringify(statements));
  });
}
