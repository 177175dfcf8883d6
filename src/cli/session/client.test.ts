import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ApiDouble, Refused } from '#test/worlds/api-double.ts';
import { keyId, me, page, request, requestId } from '#test/worlds/api-samples.ts';
import type { CliDeps } from '../deps.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { Client, readServer } from './client.ts';

const quiet = { sleep: async () => undefined, now: () => new Date(), randomBytes: (count: number) => randomBytes(count) } as unknown as CliDeps;

async function signedIn(handlers: ConstructorParameters<typeof Object>[0] = {}, deps: Partial<CliDeps> = {}) {
  const double = await ApiDouble.start(handlers as ApiDouble['handlers']);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  double.enrol(keyId, publicKey.export({ type: 'spki', format: 'pem' }) as string);
  const profile = { server: double.url, keyId, principal: me, label: 'test', signedInAt: '', logKey: null, privateKey };
  const interrupt = new AbortController();
  return { double, interrupt, client: new Client(double.url, profile, { ...quiet, ...deps }, interrupt.signal), [Symbol.asyncDispose]: () => double[Symbol.asyncDispose]() };
}

const failure = (exit: number, text: RegExp) => (error: unknown) => error instanceof Failure && error.exit === exit && text.test(`${error.message} ${error.hint ?? ''}`);

test('every request is signed; a question carries no idempotency key, an order does', async () => {
  await using world = await signedIn({ requests: () => page(request), cancelRequest: () => request });
  await world.client.call('requests', { query: { view: 'inbox', limit: 7 } });
  await world.client.call('cancelRequest', { params: { id: requestId } });
  const [asked, ordered] = world.double.calls;
  assert.deepEqual([asked?.keyId, asked?.query, asked?.idempotencyKey], [keyId, { view: 'inbox', limit: 7 }, null]);
  assert.match(ordered?.idempotencyKey ?? '', /^[A-Za-z0-9_-]{24}$/);
  assert.deepEqual(world.double.complaints, []);
});

test('after an outage the same order is sent again, with the same key and a fresh signature', async () => {
  const keys: unknown[] = [];
  await using world = await signedIn({ cancelRequest: () => request });
  world.double.intercept = (incoming, response) => {
    keys.push(incoming.headers['idempotency-key']);
    if (keys.length === 3) return false;
    if (keys.length === 1) response.destroy();
    else response.writeHead(503, { 'content-type': 'application/problem+json' }).end('{"code":"unavailable","detail":"starting"}');
    return true;
  };
  await world.client.call('cancelRequest', { params: { id: requestId } });
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
});

test('a sign-in is never sent twice: its link is spent by the first', async () => {
  let tries = 0;
  await using world = await signedIn();
  world.double.intercept = (_, response) => {
    tries += 1;
    response.destroy();
    return true;
  };
  await assert.rejects(world.client.call('signInByPassword', { body: { name: 'ana', password: 'x', publicKey: 'k'.repeat(60), label: 'l' } }), failure(EXIT.unavailable, /can not be reached/));
  assert.equal(tries, 1);
});

test('a redirect is not followed, and the signature not shown to where it leads', async () => {
  let reached = false;
  const elsewhere = createServer((_, response) => {
    reached = true;
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  await using world = await signedIn();
  world.double.intercept = (_, response) => {
    response.writeHead(307, { location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/` }).end();
    return true;
  };
  await assert.rejects(world.client.call('me'), failure(EXIT.unavailable, /redirects elsewhere/));
  assert.equal(reached, false);
  elsewhere.close();
});

test('a refusal keeps its code, its hint and its exit code', async () => {
  await using world = await signedIn({
    me: () => {
      throw new Refused(403, 'own_request', 'you asked for it yourself', 'Ask somebody else.');
    },
  });
  await assert.rejects(world.client.call('me'), (error: Failure) => error.exit === EXIT.refused && error.problem.code === 'own_request' && error.hint === 'Ask somebody else.');
});

test('a code from a newer server counts by its status', async () => {
  await using world = await signedIn();
  world.double.intercept = (_, response) => {
    response.writeHead(429, { 'content-type': 'application/problem+json' }).end('{"code":"constructor","detail":"new"}');
    return true;
  };
  await assert.rejects(world.client.call('me'), failure(EXIT.limited, /new/));
});

test('a wrong clock is named when the server refuses the signature', async () => {
  await using world = await signedIn({ me: () => me }, { now: () => new Date(Date.now() - 300_000) });
  await assert.rejects(world.client.call('me'), failure(EXIT.unauthenticated, /clock is (299|300|301) s behind/));
});

test('something else than Brevet at the address is said to be that', async () => {
  await using world = await signedIn();
  world.double.intercept = (_, response) => {
    response.end('<html>hello</html>');
    return true;
  };
  await assert.rejects(world.client.call('me'), failure(EXIT.unavailable, /did not answer as Brevet does/));
});

test('nothing is listening: said at once, with what to do', async () => {
  const world = await signedIn();
  await world.double[Symbol.asyncDispose]();
  await assert.rejects(world.client.call('me'), failure(EXIT.unavailable, /ECONNREFUSED.*npm start/));
});

test('an interrupt ends what is under way', async () => {
  await using world = await signedIn();
  world.double.intercept = () => {
    world.interrupt.abort();
    return true;
  };
  await assert.rejects(world.client.call('me'), failure(EXIT.interrupted, /stopped/));
});

test('names and ids cannot change the path', async () => {
  await using world = await signedIn();
  for (const id of ['../principals', 'a/b', '', 'a?x=1', '%2e%2e', '.']) {
    await assert.rejects(world.client.call('request', { params: { id } }), failure(EXIT.usage, /is not an id/));
  }
});

test('http is for this machine only, unless it is said to be fine', () => {
  assert.equal(readServer('https://brevet.example/console', false), 'https://brevet.example');
  assert.equal(readServer('http://127.0.0.1:8484', false), 'http://127.0.0.1:8484');
  assert.equal(readServer('http://[::1]:1', false), 'http://[::1]:1');
  assert.equal(readServer('http://10.0.0.1:1', true), 'http://10.0.0.1:1');
  for (const bad of ['http://brevet.example', 'http://127.0.0.1.evil.example', 'http://localhost.evil.example', 'ftp://127.0.0.1', 'https://ana:pw@brevet.example', 'brevet', '']) {
    assert.throws(() => readServer(bad, false), Failure, bad);
  }
});
