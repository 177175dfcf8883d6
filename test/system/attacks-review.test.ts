/** What a reviewer who meant harm got through once, and must not again. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { signRequest } from '#contract/request-signature.ts';
import type { Answer } from '#contract/routes.ts';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { demoFiles } from '#main/demo/world.ts';
import { changed, done, refused, review, workload } from '#test/worlds/asking.ts';
import { brevetWorld, signIn, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';
import { psql } from '#test/worlds/brevet-steps.ts';

let world: BrevetWorld;
let [ada, kim, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld();
  [ada, kim, sam] = await Promise.all(['ada', 'kim', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

/** The words of the error with which psql ended; `null` when it got through. */
const fails = (env: Record<string, string>, sql = 'select 1'): Promise<string | null> =>
  psql(env, sql).then(() => null, (error: { stderr?: string }) => error.stderr ?? '');

test('C01 a startup option that names the database or the user leaves the grant', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600 });
  const env = await world.clientEnv('ada');
  assert.equal(await psql(env, 'select current_database()'), 'orders');
  for (const option of ['-c database=postgres', '--database=postgres', '-c DataBase=postgres', '-c user=postgres', '-c replication=database', '-c options=-crole=postgres']) {
    const words = await fails({ ...env, PGOPTIONS: option }, 'select current_database()');
    assert.match(words ?? 'it got through', /can't be set for a session of Brevet's/, option);
  }
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
});

test('B13 a certificate ends with the key that asked for it', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600 });
  const thief = await signIn(world.server, 'ada');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const env = await world.clientEnv('ada');
  const issued = done(await thief.post<Answer<'issueCertificate'>>('/api/v1/certificates', { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) }));
  await writeFile(env['PGSSLKEY'] as string, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(env['PGSSLCERT'] as string, issued.certificate);
  assert.equal(await psql(env, 'select 1'), '1');
  const token = done(await thief.post<Answer<'connectionToken'>>(`/api/v1/grants/${grant.id}/connection-token`));
  done(await they(ada).call('DELETE', `/api/v1/me/keys/${thief.keyId}`));
  assert.match((await fails(env)) ?? 'it got through', /not known, or not valid any more/);
  const { PGSSLKEY: _, PGSSLCERT: __, ...bare } = env;
  assert.match((await fails({ ...bare, PGUSER: token.user, PGPASSWORD: token.password })) ?? 'it got through', /does not open anything/);
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
});

test('A04 an extension continues what its reviewers saw, and nothing wider', async () => {
  const grant = await world.grant('ada', 'orders-write', { seconds: 600, approvers: ['kim'] });
  await world.apply(changed(world, 'verbs: [select, insert, update], tables: [shop.orders, shop.order_lines]', 'verbs: [select], tables: [shop.orders]'));
  try {
    refused(await they(ada).post(`/api/v1/grants/${grant.id}/extend`, { duration: '5m', reason: 'more' }), 409, 'wrong_state');
  } finally {
    await world.apply(demoFiles(world.target.port));
  }
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
});

test('I3 a new credential of a target stands in the log', async () => {
  const size = async () => (await world.database.pool.query<{ n: number }>(`select count(*)::int as n from brevet.log_entries where type = 'target.credential_set'`)).rows[0]?.n;
  const sizeBefore = await size();
  done(await they(sam).call('PUT', '/api/v1/targets/orders/credential', { credential: 'not-to-be-seen-anywhere', account: 'reporting' }));
  assert.equal(await size(), (sizeBefore ?? 0) + 1);
  const { rows } = await world.database.pool.query(`select 1 from brevet.log_entries where body like '%not-to-be-seen%'`);
  assert.equal(rows.length, 0);
});

test('A02 whoever owned a workload when it asked does not decide on it after handing it over', async () => {
  const policy = (files: readonly SourceFile[]) => files.map((file) => (file.path.endsWith('orders.cedar') ? { ...file, text: `${file.text}\n@id("bots")\npermit (principal is Workload, action == Action::"request", resource);\n` } : file));
  await world.apply(policy(changed(world, 'owner: ada', 'owner: kim')));
  const bot = await workload(world);
  const asked = done(await bot.post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-write', reason: 'nightly', duration: 60 }));
  refused(await review(they(kim), asked), 403, 'own_request');
  await world.apply(policy(demoFiles(world.target.port)));
  refused(await review(they(kim), asked), 409, 'wrong_state');
  const { rows } = await world.database.pool.query('select state from brevet.requests where id = $1', [asked.id]);
  assert.deepEqual(rows, [{ state: 'cancelled' }]);
  await world.apply(demoFiles(world.target.port));
});

test('I6 a target does not move away from the accounts that stand on it', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 600 });
  const apply = (files: readonly SourceFile[]) => they(sam).post('/api/v1/configuration/apply', { files: files.filter(({ path }) => !path.endsWith('.test.yaml')) });
  const elsewhere = changed(world, `port: ${world.target.port}`, 'port: 1');
  refused(await apply(elsewhere), 409, 'conflict');
  done(await apply(changed(world, 'title: Read orders', 'title: Read the orders')));
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  await world.until('ada', grant.id, 'ended');
  done(await apply(elsewhere));
  done(await apply(demoFiles(world.target.port)));
  assert.deepEqual(await world.roles(), []);
});

test('the last two administrators do not shut each other out at once', async () => {
  await world.apply(changed(world, 'noor: { name: Noor Haddad }', 'noor: { name: Noor Haddad, administrator: true }'));
  const noor = await world.as('noor');
  for (let round = 0; round < 5; round++) {
    const replies = await Promise.all([they(sam).post('/api/v1/principals/noor/disable'), noor.post('/api/v1/principals/sam/disable')]);
    const { rows } = await world.database.pool.query<{ n: number }>('select count(*)::int as n from brevet.principals where administrator and disabled_at is null');
    assert.equal(rows[0]?.n, 1, JSON.stringify(replies.map(({ status }) => status)));
    await world.database.pool.query('update brevet.principals set disabled_at = null');
  }
  await world.apply(demoFiles(world.target.port));
});

test('F03 metrics are not for whoever comes through a proxy on this machine', async () => {
  const { status } = await fetch(`${world.address}/metrics`);
  assert.equal(status, 200);
  for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
    const through = await fetch(`${world.address}/metrics`, { headers: { [header]: header === 'forwarded' ? 'for=203.0.113.9' : '203.0.113.9' } });
    assert.equal(through.status, 403, header);
  }
});

test('H02 long polls of one caller take nothing from the others', async () => {
  const asked = done(await they(ada).post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-write', reason: 'to wait for', duration: 60 }));
  const waits = Array.from({ length: 130 }, () => they(ada).get(`/api/v1/requests/${asked.id}?waitSeconds=3`));
  const statuses = (await Promise.all(waits)).map(({ status }) => status);
  assert.ok(statuses.includes(429) && statuses.filter((status) => status === 200).length <= 100, JSON.stringify(statuses));
  done(await they(ada).post(`/api/v1/requests/${asked.id}/cancel`));
});

test('H02 a captured request opens no second stream, and nobody opens streams without end', async () => {
  const { keyId, privateKey } = they(ada);
  const headers = signRequest({ method: 'GET', authority: new URL(world.address).host, target: '/api/v1/events', headers: {} }, null, { keyId, privateKey }, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) });
  const open = async (signed: Record<string, string>) => {
    const stop = new AbortController();
    const response = await fetch(`${world.address}/api/v1/events`, { headers: signed, signal: stop.signal });
    return { status: response.status, stop };
  };
  const first = await open(headers);
  assert.equal(first.status, 200);
  assert.equal((await open(headers)).status, 401);
  first.stop.abort();
  const sign = () => signRequest({ method: 'GET', authority: new URL(world.address).host, target: '/api/v1/events', headers: {} }, null, { keyId, privateKey }, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) });
  const many = await Promise.all(Array.from({ length: 14 }, () => open(sign())));
  assert.ok(many.filter(({ status }) => status === 429).length >= 3, JSON.stringify(many.map(({ status }) => status)));
  for (const { stop } of many) stop.abort();
});
