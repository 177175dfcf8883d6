import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { z } from 'zod';
import type { Answer } from '#contract/routes.ts';
import { ask, done, hangUp, refused, review, told, type Request } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';
import { storeUrl } from '#test/worlds/database.ts';

let world: BrevetWorld;
let [ada, noor, lea, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld({ brokers: 0 });
  [ada, noor, lea, sam] = await Promise.all(['ada', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

const wish = { entitlement: 'orders-write', reason: 'once' };
const withKey = (caller: Caller, key: string, body: object = wish, path = '/api/v1/requests') => caller.call<Request>('POST', path, body, { 'idempotency-key': key });
const countRequests = async (): Promise<number> => Number((await world.database.pool.query<{ n: string }>('select count(*) as n from brevet.requests')).rows[0]?.n);
const cancel = async (...ids: readonly string[]) => {
  for (const id of ids) done(await they(ada).post(`/api/v1/requests/${id}/cancel`));
};

test('an Idempotency-Key: the same call again is answered as the first time, and done once', async () => {
  const was = await countRequests();
  const first = done(await withKey(they(ada), 'ada-key-1'));
  const again = done(await withKey(they(ada), 'ada-key-1'));
  assert.deepEqual(again, first);
  assert.equal(await countRequests(), was + 1);
  // Somebody else's key of the same name is another key.
  refused(await withKey(they(lea), 'ada-key-1'), 403, 'policy_denied');
  // A refusal is an answer, too.
  const refusal = refused(await withKey(they(ada), 'ada-key-2', { ...wish, duration: '9h' }), 422, 'duration_too_long');
  assert.deepEqual(refused(await withKey(they(ada), 'ada-key-2', { ...wish, duration: '9h' }), 422, 'duration_too_long'), refusal);
  await cancel(first.id);
});

test('a one-time link of somebody else than expected is refused, and still good for whom it is', async () => {
  const { body } = await they(sam).post<Answer<'issueLink'>>('/api/v1/principals/lea/sign-in-link');
  const link = body.link.split('#')[1] as string;
  const ids = await Promise.all([ada, lea].map(async (who) => done(await they(who).get<Answer<'me'>>('/api/v1/me')).id));
  const publicKey = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
  const signIn = (principal: string | undefined) => world.anonymous('POST', '/api/v1/sign-in/link', { link, publicKey, label: 'x', principal });
  refused(await signIn(ids[0]), 409, 'conflict');
  done(await signIn(ids[1]));
});

test('an Idempotency-Key for something else is a conflict: another body, another object', async () => {
  const [one, other] = [done(await withKey(they(ada), 'ada-key-3')), done(await withKey(they(ada), 'ada-key-4'))];
  refused(await withKey(they(ada), 'ada-key-3', { ...wish, reason: 'twice' }), 409, 'conflict');
  refused(await withKey(they(ada), 'ada-key-3', wish, '/api/v1/requests/preview'), 409, 'conflict');
  const withdraw = (id: string) => they(ada).call<Request>('POST', `/api/v1/requests/${id}/cancel`, undefined, { 'idempotency-key': 'withdraw-1' });
  assert.equal(done(await withdraw(one.id)).state, 'cancelled');
  refused(await withdraw(other.id), 409, 'conflict');
  assert.deepEqual(done(await withdraw(one.id)).id, one.id);
  await cancel(other.id);
  for (const key of ['short', 'x'.repeat(201), 'with a blank']) refused(await withKey(they(ada), key), 400, 'invalid_input');
});

test('an Idempotency-Key in many hands at once: one call is made', async () => {
  const was = await countRequests();
  const replies = await Promise.all(Array.from({ length: 8 }, () => withKey(they(ada), 'ada-key-5')));
  assert.equal(await countRequests(), was + 1);
  const ids = new Set(replies.filter((reply) => reply.status === 200).map((reply) => reply.body.id));
  assert.equal(ids.size, 1);
  for (const reply of replies.filter((one) => one.status !== 200)) refused(reply, 409, 'conflict');
  await cancel(...ids);
});

const without = async <T>(table: string, work: () => Promise<T>): Promise<T> => {
  await world.database.pool.query(`alter table brevet.${table} rename to ${table}_away`);
  try {
    return await work();
  } finally {
    await world.database.pool.query(`alter table brevet.${table}_away rename to ${table}`);
  }
};

test('an Idempotency-Key after a failure of ours that changed nothing may be tried again', async () => {
  const was = await countRequests();
  const failed = await without('requests', () => withKey(they(ada), 'ada-key-6'));
  const problem = refused(failed, 500, 'internal');
  assert.doesNotMatch(JSON.stringify(problem), /brevet\.requests|relation|42P01/, 'our own failures say nothing of what we are made of');
  const second = done(await withKey(they(ada), 'ada-key-6'));
  assert.deepEqual([second.state, await countRequests()], ['pending', was + 1]);
  await cancel(second.id);
});

test('an Idempotency-Key whose call took effect is never done again: when its answer fails, and when that can not be kept', async () => {
  const was = await countRequests();
  // The request is sent; showing it reads its reviews.
  const problem = refused(await without('reviews', () => withKey(they(ada), 'ada-key-7')), 409, 'conflict');
  assert.match(`${problem.detail} ${problem.hint}`, /may have taken effect.*brevet requests/s);
  assert.equal(await countRequests(), was + 1);
  refused(await withKey(they(ada), 'ada-key-7'), 409, 'conflict');
  assert.equal(await countRequests(), was + 1);

  await world.database.pool.query(`create function brevet.no_close() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create trigger no_close before update on brevet.idempotency_keys for each row execute function brevet.no_close()`);
  const sent = done(await withKey(they(ada), 'ada-key-8'));
  await world.database.pool.query('drop trigger no_close on brevet.idempotency_keys; drop function brevet.no_close()');
  assert.match(refused(await withKey(they(ada), 'ada-key-8'), 409, 'conflict').hint ?? '', /brevet requests/);
  assert.equal(await countRequests(), was + 2);
  const { items } = done(await they(ada).get<Answer<'requests'>>('/api/v1/requests?state=pending&limit=100'));
  assert.ok(items.some((one) => one.id === sent.id));
  await cancel(...items.map((one) => one.id));
});

test('the inbox is read page by page, oldest first, and holds only what is the viewer\'s to decide', async () => {
  const sent: string[] = [];
  for (let n = 0; n < 7; n++) sent.push((await ask(they(ada), { inHours: 1, reason: `inbox ${n}` })).id);
  const own = (await ask(they(noor), { inHours: 1, reason: 'her own is for others' }).catch(() => null))?.id;
  const seen: string[] = [];
  let cursor: string | null = '';
  let pages = 0;
  for (; cursor !== null && pages < 20; pages++) {
    const page: Answer<'requests'> = done(await they(noor).get<Answer<'requests'>>(`/api/v1/requests?view=inbox&limit=3${cursor && `&cursor=${cursor}`}`));
    assert.ok(page.items.length <= 3);
    seen.push(...page.items.map((one) => one.id));
    cursor = page.next;
    if (pages === 0) sent.push((await ask(they(ada), { inHours: 1 })).id);
  }
  assert.deepEqual(seen, sent);
  assert.equal(pages, 3);
  assert.deepEqual(done(await they(ada).get<Answer<'requests'>>('/api/v1/requests?view=inbox&limit=3')).items, []);
  await cancel(...sent);
  if (own !== undefined) done(await they(noor).post(`/api/v1/requests/${own}/cancel`));
});

test('H02 clients that hang up at once leave no call behind', async () => {
  const asked = await ask(they(ada), { inHours: 1 });
  const path = `/api/v1/requests/${asked.id}?waitSeconds=30`;
  for (let n = 0; n < 110; n++) await hangUp(world, they(ada), path);
  await new Promise((resolve) => setTimeout(resolve, 500));
  done(await they(ada).get('/api/v1/me'));
  await cancel(asked.id);
});

test('lists are read page by page, newest first, each once, also while new things come', async () => {
  const sent: string[] = [];
  for (let n = 0; n < 8; n++) sent.push((await ask(they(ada), { inHours: 1, reason: `page ${n}` })).id);
  const seen: string[] = [];
  let cursor: string | null = '';
  for (let pages = 0; cursor !== null && pages < 20; pages++) {
    const page: Answer<'requests'> = done(await they(ada).get<Answer<'requests'>>(`/api/v1/requests?state=pending&limit=3${cursor && `&cursor=${cursor}`}`));
    assert.ok(page.items.length <= 3);
    seen.push(...page.items.map((one) => one.id));
    cursor = page.next;
    if (pages === 0) sent.push((await ask(they(ada), { inHours: 1 })).id);
  }
  assert.deepEqual(seen, sent.slice(0, 8).toReversed());
  const entries: number[] = [];
  let before: string | null = '';
  for (let pages = 0; before !== null && pages < 100; pages++) {
    const page: Answer<'logEntries'> = done(await they(sam).get<Answer<'logEntries'>>(`/api/v1/log/entries?limit=7${before && `&cursor=${before}`}`));
    entries.push(...page.items.flatMap((one) => one.index ?? []));
    before = page.next;
  }
  assert.equal(new Set(entries).size, entries.length);
  assert.deepEqual(entries.toSorted((a, b) => b - a).at(-1), 0);
  for (const wrong of ['x', 'req_', '1e99', '0.5']) refused(await they(sam).get(`/api/v1/log/entries?cursor=${wrong}`), 400, 'invalid_input');
  await cancel(...sent);
});

test('answers are as the published description says', async () => {
  interface Described { readonly paths: Record<string, Record<string, { responses: Record<string, { content: Record<string, { schema: object }> }> }>> }
  const { paths } = (await world.anonymous('GET', '/api/v1/openapi.json')).body as Described;
  const asked = await ask(they(ada), { inHours: 1 });
  const { grant } = done(await review(they(noor), asked));
  const calls: readonly [Caller, string, string][] = [
    [they(ada), '/api/v1/me', '/api/v1/me'], [they(ada), '/api/v1/me/keys', '/api/v1/me/keys'], [they(ada), '/api/v1/entitlements', '/api/v1/entitlements'], [they(ada), '/api/v1/requests', '/api/v1/requests'],
    [they(ada), '/api/v1/requests/{id}', `/api/v1/requests/${asked.id}`], [they(ada), '/api/v1/grants', '/api/v1/grants'], [they(ada), '/api/v1/grants/{id}', `/api/v1/grants/${grant}`], [they(ada), '/api/v1/sessions', '/api/v1/sessions'],
    [they(sam), '/api/v1/log/entries', '/api/v1/log/entries'], [they(sam), '/api/v1/log', '/api/v1/log'], [they(sam), '/api/v1/principals', '/api/v1/principals'], [they(sam), '/api/v1/targets', '/api/v1/targets'],
    [they(sam), '/api/v1/targets/{name}/standing', '/api/v1/targets/orders/standing'], [they(sam), '/api/v1/policies', '/api/v1/policies'], [they(sam), '/api/v1/doctor', '/api/v1/doctor'],
  ];
  for (const [caller, path, target] of calls) {
    const schema = paths[path]?.['get']?.responses['200']?.content['application/json']?.schema;
    assert.ok(schema, path);
    z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).parse(done(await caller.get(target)));
  }
  done(await they(ada).post(`/api/v1/grants/${grant}/finish`));
  assert.ok((await told(world, { request: asked.id })).includes('request.approved'));
});

test('every answer carries the headers that keep it from being kept, framed or guessed at', async () => {
  for (const reply of [await they(ada).get('/api/v1/me'), await world.anonymous('GET', '/api/v1/me'), await world.anonymous('GET', '/nowhere'), await world.anonymous('GET', '/')]) {
    assert.equal(reply.headers.get('cache-control'), 'no-store');
    assert.equal(reply.headers.get('x-content-type-options'), 'nosniff');
    assert.match(reply.headers.get('content-security-policy') ?? '', /default-src 'none'; frame-ancestors 'none'/);
    assert.equal(reply.headers.get('access-control-allow-origin'), null);
    if (reply.status >= 400) assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
  }
});

test('health: alive, ready, measured; and not ready while the store is away, when nothing is granted', async () => {
  const plain = async (path: string) => world.anonymous('GET', path);
  assert.deepEqual([(await plain('/healthz')).status, (await plain('/readyz')).status], [200, 200]);
  const { status, body } = await plain('/metrics');
  assert.equal(status, 200);
  assert.match(String(body), /^brevet_\w+(?:\{[^}]*\})? \d/m);
  const elsewhere = new Client({ connectionString: await storeUrl() });
  await elsewhere.connect();
  try {
    await elsewhere.query(`alter database ${world.database.name} with allow_connections false`);
    await elsewhere.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [world.database.name]);
    assert.equal((await plain('/healthz')).status, 200, 'a restart would not help');
    assert.equal((await plain('/readyz')).status, 503);
    refused(await they(ada).post('/api/v1/requests', wish), 503, 'unavailable');
  } finally {
    await elsewhere.query(`alter database ${world.database.name} with allow_connections true`);
    await elsewhere.end();
  }
  for (let n = 0; (await plain('/readyz')).status !== 200; n++) {
    assert.ok(n < 100, 'it never came back');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await cancel((await ask(they(ada))).id);
});

test('too fast is refused; F03: other addresses in a header help nobody', async () => {
  const publicly = await Promise.all(Array.from({ length: 120 }, (_, n) => world.anonymous('GET', '/api/v1/authority', undefined, { 'x-forwarded-for': `198.51.100.${n}`, forwarded: `for=198.51.100.${n}` })));
  const limited = publicly.filter((reply) => reply.status === 429);
  assert.ok(limited.length > 20, `${limited.length} of 120`);
  refused(limited[0] as (typeof limited)[number], 429, 'rate_limited');
  assert.equal((await they(ada).get('/api/v1/me')).status, 200, 'whoever is signed in is counted apart');
});
