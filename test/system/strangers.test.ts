import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Store } from '#app/ports/store.ts';
import type { Answer } from '#contract/routes.ts';
import { done, refused } from '#test/worlds/asking.ts';
import { brevetWorld, callerWith, signIn, type BrevetWorld } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
before(async () => (world = await brevetWorld({ brokers: 0 })));
after(() => world[Symbol.asyncDispose]());

test('H01 a flood of calls that nobody has signed does not reach the store', { timeout: 60_000 }, async () => {
  const ada = await world.as('ada');
  let transactions = 0;
  const { store } = world.server.app as { store: Store };
  const real = store.transaction.bind(store);
  store.transaction = (work) => {
    transactions += 1;
    return real(work);
  };
  // Without a signature, or with none that could be one: refused by its form alone.
  for (let n = 0; n < 50; n++) refused(await world.anonymous('GET', '/api/v1/me', undefined, n % 2 === 0 ? {} : { 'signature-input': 'x', signature: 'y' }), 401, 'unauthenticated');
  assert.equal(transactions, 0);
  // Well-formed, by a key that is not enrolled: each costs a look, until the address has used up what it has.
  const { privateKey } = generateKeyPairSync('ed25519');
  const stranger = callerWith(world.address, 'nobody', 'key_00000000000000000000000000', privateKey);
  const codes: (string | undefined)[] = [];
  for (let n = 0; n < 80; n++) codes.push(...(await Promise.all(Array.from({ length: 10 }, () => stranger.get('/api/v1/me')))).map((reply) => reply.problem?.code));
  assert.deepEqual(new Set(codes), new Set(['unauthenticated', 'rate_limited']));
  assert.ok(transactions <= 700, `${transactions} transactions for 800 calls`);
  const seen = transactions;
  await world.anonymous('GET', '/api/v1/me');
  assert.equal(transactions, seen);
  // However many ask whether the server is ready, the store is looked at once at a time.
  const earlier = transactions;
  await Promise.all(Array.from({ length: 60 }, () => world.anonymous('GET', '/readyz')));
  assert.ok(transactions - earlier < 30, `${transactions - earlier} looks for 60 questions at once`);
  store.transaction = real;
  // The bound fills up again; honest callers of the address go on, more of them at once than it has places for failures.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (let n = 0; n < 30; n++) done(await ada.get('/api/v1/me'));
});

test('H01 whoever has an IPv6 network has one address of it to us, behind a proxy as well', { timeout: 60_000 }, async () => {
  await using behind = await brevetWorld({ brokers: 0, env: { BREVET_PROXIES: '127.0.0.1' } });
  const from = async (address: string) => (await behind.anonymous('GET', '/api/v1/authority', undefined, { 'x-forwarded-for': address })).status;
  const statuses = [];
  for (let n = 0; n < 80; n++) statuses.push(await from(`2001:db8:1:2:${n.toString(16)}::1`));
  assert.equal(statuses[0], 200);
  assert.equal(statuses.at(-1), 429);
  assert.equal(await from('2001:db8:1:3::1'), 200, 'the neighbour');
  assert.equal(await from('203.0.113.9'), 200);
});

/** Fails to prove anything until the address has used up what it has, and goes on so until the disposal. */
async function emptiedBucket(): Promise<AsyncDisposable> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const stranger = callerWith(world.address, 'nobody', 'key_00000000000000000000000000', privateKey);
  const some = async () => (await Promise.all(Array.from({ length: 20 }, () => stranger.get('/api/v1/me')))).map((reply) => reply.problem?.code);
  while (!(await some()).every((code) => code === 'rate_limited'));
  const over = new AbortController();
  const flood = (async () => {
    while (!over.signal.aborted) await some();
  })();
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await flood;
    },
  };
}

test('H01 whom this server knows revokes, though a stranger has used up what their address has', { timeout: 60_000 }, async () => {
  const sam = await world.as('sam');
  const grant = await world.grant('ada', 'orders-read', { seconds: 120 });
  done(await sam.get('/api/v1/me'));
  const newcomer = await signIn(world.server, 'kim');
  await using _ = await emptiedBucket();
  const { privateKey } = generateKeyPairSync('ed25519');
  const forger = callerWith(world.address, 'sam', sam.keyId, privateKey);
  for (let n = 0; n < 20; n++) {
    done(await sam.get('/api/v1/me'));
    const { problem } = await forger.post(`/api/v1/grants/${grant.id}/revoke`, { reason: 'not by sam' });
    assert.ok(problem?.code === 'rate_limited' || problem?.code === 'unauthenticated', problem?.code);
  }
  assert.equal(done(await sam.post<Answer<'revokeGrant'>>(`/api/v1/grants/${grant.id}/revoke`, { reason: 'it is an attack' })).endReason, 'revoked');
  // Whose key has proved nothing here yet is one of many strangers.
  const answers = await Promise.all(Array.from({ length: 20 }, () => newcomer.get('/api/v1/me')));
  assert.ok(answers.some(({ problem }) => problem?.code === 'rate_limited'));
});

test('H01 a key that was revoked is refused at once, however well it is known, and its calls are bounded', { timeout: 60_000 }, async () => {
  const ada = await signIn(world.server, 'ada');
  // What an earlier flood has used up flows in again.
  while ((await ada.get('/api/v1/me')).status === 429) await new Promise((resolve) => setTimeout(resolve, 100));
  done(await ada.call('DELETE', `/api/v1/me/keys/${ada.keyId}`));
  await using _ = await emptiedBucket();
  const codes: (string | undefined)[] = [];
  while (codes.length < 2000 && codes.at(-1) !== 'rate_limited') codes.push(...(await Promise.all(Array.from({ length: 20 }, () => ada.get('/api/v1/me')))).map(({ problem }) => problem?.code));
  assert.equal(codes[0], 'unauthenticated', 'its signature was looked at');
  assert.deepEqual(new Set(codes), new Set(['unauthenticated', 'rate_limited']));
});

test('brevet log verify URL says how to go on when the log is for those who are signed in', async () => {
  const home = await mkdtemp(join(tmpdir(), 'brevet-stranger-'));
  const env = { PATH: process.env['PATH'] ?? '', BREVET_HOME: home };
  const { code, said } = await new Promise<{ code: unknown; said: string }>((resolve) =>
    execFile(join(import.meta.dirname, '../../bin/brevet'), ['log', 'verify', world.address], { env }, (error, stdout, stderr) => resolve({ code: error?.code, said: stdout + stderr })));
  await rm(home, { recursive: true });
  assert.equal(code, 6, said);
  assert.match(said, /shows its log only to those who are signed in there/);
  assert.match(said, /brevet login 'LINK'.*log\.public: true/);
});
