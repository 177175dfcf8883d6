import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, mock, test } from 'node:test';
import fs from 'node:fs';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseCanonicalJson } from '#domain/canonical-json.ts';
import { httpServer } from '#server/http-server.ts';
import type { ServerDeps } from '#server/deps.ts';
import { ROUTES, type Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { ask, changed, done, refused, review, sendTarget, stateOf, type Grant, type Request } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller, type Reply } from '#test/worlds/brevet-world.ts';

const run = promisify(execFile);
let world: BrevetWorld;
let [ada, kim, noor, lea, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;
/** What the server's journal wrote: it goes to standard error, synchronously. */
let journal = '';

before(async () => {
  const write = fs.writeSync;
  mock.method(fs, 'writeSync', (...given: Parameters<typeof write>) => {
    if (given[0] !== 2) return write(...given);
    journal += String(given[1]);
    return String(given[1]).length;
  });
  process.env['BREVET_JOURNAL'] = 'info';
  world = await brevetWorld();
  [ada, kim, noor, lea, sam] = await Promise.all(['ada', 'kim', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
});
after(async () => {
  await world[Symbol.asyncDispose]();
  mock.restoreAll();
});

test('F03 headers that only a proxy may set are not believed', async () => {
  const from = '203.0.113.7';
  await world.apply(changed(world, '@id("request-orders")', `@id("from-the-office")\npermit (principal == Person::"lea", action == Action::"request", resource == Entitlement::"orders-write") when { context has clientIp && context.clientIp == ip("${from}") };\n\n@id("request-orders")`));
  const spoofs: readonly Record<string, string>[] = [
    {}, { 'x-forwarded-for': from }, { 'x-forwarded-for': `${from}, 127.0.0.1` }, { forwarded: `for=${from};host=127.0.0.1` }, { 'x-real-ip': from }, { 'cf-connecting-ip': from }, { 'true-client-ip': from }, { 'x-client-ip': from },
    { 'x-forwarded-user': 'ada' }, { 'x-remote-user': 'ada' }, { 'x-forwarded-host': 'elsewhere.example', 'x-forwarded-proto': 'https' },
  ];
  for (const headers of spoofs) {
    refused(await they(lea).call('POST', '/api/v1/requests', { entitlement: 'orders-write', reason: 'r' }, headers), 403, 'policy_denied');
    assert.equal(done(await they(lea).call<Answer<'me'>>('GET', '/api/v1/me', undefined, headers)).name, 'lea');
    refused(await world.anonymous('GET', '/api/v1/me', undefined, { ...headers, 'x-remote-user': 'sam', authorization: 'Bearer sam', cookie: 'session=sam' }), 401, 'unauthenticated');
  }
  await world.apply(changed(world, '@id("request-orders")', '@id("from-here")\npermit (principal == Person::"lea", action == Action::"request", resource == Entitlement::"orders-write") when { context has clientIp && context.clientIp == ip("127.0.0.1") };\n\n@id("request-orders")'));
  const here = done(await they(lea).post<Request>('/api/v1/requests', { entitlement: 'orders-write', reason: 'the real address counts' }));
  done(await they(lea).post(`/api/v1/requests/${here.id}/cancel`));
  await world.apply(demoFiles(world.target.port));
});

test('F04 no spelling of a path gets around the check of who may', async () => {
  const { host } = new URL(world.address);
  const paths = [
    '//api/v1/principals', '/api//v1/principals', '/api/v1//principals', '/api/v1/principals/', '/api/v1/principals//', '/API/v1/principals', '/api/v1/Principals', '/api/v1/%70rincipals', '/api/v1/./principals', '/api/v1/authority/../principals',
    '/api/v1/authority/%2e%2e/principals', '/api/v1/authority%2f..%2fprincipals', '/api/v1/authority/..%2fprincipals', '/api/v1/authority;/../principals', '/api/v1/principals;a=b', '/api/v1/principals;', '/api/v1/principals%00', '/api/v1/principals%20',
    '/api/v1/principals?x=/api/v1/authority', '/api/v1/principals?/api/v1/log', '/api/v1/principals#/api/v1/authority', '/healthz/../api/v1/principals', '/log/../api/v1/principals', '/log/%2e%2e/api/v1/principals', '/log/checkpoint/../../api/v1/principals',
    '/log/..%2f..%2fetc%2fpasswd', '/log//etc/passwd', '/log/tile/../../../etc/passwd', '/sign-in/../api/v1/principals', '/api/v1/authority\\..\\principals', `http://${host}/api/v1/principals`, `http://elsewhere.example/api/v1/principals`, '/api/v1/openapi.json/../principals',
  ];
  for (const path of paths) {
    for (const as of [undefined, they(lea)]) {
      const { status, body } = await sendTarget(world, path, as ? { as, signedFor: '/api/v1/me' } : {});
      assert.ok([400, 401, 403, 404].includes(status), `${path}: ${status} ${body.slice(0, 200)}`);
      assert.doesNotMatch(body, /displayName|root:/);
    }
  }
  // The same with a good signature for the plain path: it is still not hers to read.
  for (const path of ['/api/v1/principals', '/api/v1/principals?x=1', '/api/v1/principals?access=public']) refused(await they(lea).get(path), 403, 'forbidden');
});

test('F04 parameters given twice, unknown methods, method overrides', async () => {
  for (const query of ['limit=1&limit=2', 'view=mine&view=all', 'state=pending&state=approved', 'cursor=a&cursor=b', 'limit[]=1', 'limit[a]=1', 'view=MINE', 'limit=-1', 'limit=0', 'limit=501', 'limit=NaN', 'limit=1e9', 'unknown=1', '__proto__[x]=1', 'constructor=1']) {
    const { status } = await they(ada).get(`/api/v1/requests?${query}`).catch(() => ({ status: 400 }));
    assert.equal(status, 400, query);
  }
  const was = await stateOf(world);
  for (const method of ['PATCH', 'PUT', 'DELETE', 'OPTIONS']) refused(await they(sam).call(method, '/api/v1/principals'), 404, 'not_found');
  for (const header of ['x-http-method-override', 'x-method-override', 'x-http-method']) {
    const { status } = await they(sam).call('GET', '/api/v1/principals/ada/disable', undefined, { [header]: 'POST' });
    assert.equal(status, 404);
  }
  const form = await world.anonymous('POST', '/api/v1/requests', 'entitlement=orders-write&reason=r', { 'content-type': 'application/x-www-form-urlencoded' });
  refused(form, 400, 'invalid_input');
  refused(await world.anonymous('POST', '/api/v1/requests', '{"entitlement":"orders-write","reason":"r"}', { 'content-type': 'text/plain' }), 400, 'invalid_input');
  assert.equal(await stateOf(world), was);
});

test('F04 every route that is served is classified', async () => {
  const server = await httpServer({ version: 'test', app: {} } as ServerDeps);
  const at: string[] = [];
  const served = server.printRoutes({ commonPrefix: false }).split('\n').flatMap((line) => {
    const [, indent = '', path = '', methods = ''] = /^([│ ]*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?/.exec(line) ?? [];
    at.splice(indent.length / 4, Number.POSITIVE_INFINITY, path);
    return methods.split(', ').filter((method) => method !== '' && method !== 'HEAD').map((method) => `${method} ${at.join('')}`);
  });
  const plain = ['GET /healthz', 'GET /readyz', 'GET /metrics', 'GET /log/*', 'GET /', 'GET /sign-in', 'GET /api/v1/events', 'GET /api/v1/openapi.json'];
  const classified = [...Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`), ...plain];
  // The printed tree leaves the start of a wildcard's path out.
  assert.ok(server.hasRoute({ method: 'GET', url: '/log/*' }) && !server.hasRoute({ method: 'GET', url: '/*' }));
  assert.deepEqual(served.map((one) => one.replace('GET /*', 'GET /log/*')).toSorted(), classified.toSorted());
  await server.close();
});

test('G05 no secret and no forged line in the log, the journal or an answer', async () => {
  const forged = 'x\r\n{"level":"error","msg":"forged"}\u001b[2K"},{"type":"grant.active","actor":"system"';
  const password = 'correct horse battery staple 7';
  const credential = 'hunter2-hunter2-hunter2';
  const answers: string[] = [];
  const keep = async <T>(reply: Promise<Reply<T>>): Promise<Reply<T>> => {
    const got = await reply;
    answers.push(JSON.stringify(got.body));
    return got;
  };
  const asked = await ask(they(ada), { reason: forged, ticket: forged.slice(0, 60) });
  await keep(they(ada).get(`/api/v1/requests/${asked.id}`));
  done(await keep(review(they(noor), asked, { decision: 'deny', reason: forged })));
  const signIn = { publicKey: generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }), label: forged.slice(0, 40) };
  done(await keep(they(ada).call('PUT', '/api/v1/me/password', { password })));
  refused(await keep(world.anonymous('POST', '/api/v1/sign-in/password', { name: 'ada', password: `${password}8`, ...signIn })), 401, 'unauthenticated');
  done(await keep(world.anonymous('POST', '/api/v1/sign-in/password', { name: 'ada', password, ...signIn })));
  const link = done(await they(sam).call<Answer<'issueLink'>>('POST', '/api/v1/principals/lea/sign-in-link', undefined, { 'idempotency-key': 'link-of-lea-1' })).link.split('#')[1] as string;
  done(await keep(they(sam).call('PUT', '/api/v1/targets/orders/credential', { credential, account: 'somebody' })));

  const grant = await world.grant('ada', 'orders-read', { seconds: 120 });
  const token = done(await they(ada).call<Answer<'connectionToken'>>('POST', `/api/v1/grants/${grant.id}/connection-token`, undefined, { 'idempotency-key': 'token-of-ada-1' }));
  const env = { ...(await world.clientEnv('ada')), PGAPPNAME: 'a\u001b[31mb' };
  await run('psql', ['-Atc', "select 'a literal that nobody else need know'"], { env });
  await assert.rejects(run('psql', ['-wAtc', 'select 1'], { env: { ...env, PGSSLMODE: 'require', PGSSLCERT: '/none', PGSSLKEY: '/none', PGUSER: token.user, PGPASSWORD: `${token.password}z` } }));
  // Failures of many kinds, with secrets in what was sent.
  for (const body of [{ link, publicKey: 'x'.repeat(60), label: 'l' }, { link: `${link}x`, ...signIn }, { link: token.password, ...signIn }]) await keep(world.anonymous('POST', '/api/v1/sign-in/link', body));
  await keep(they(ada).post('/api/v1/certificates', { publicKey: `${credential}${password}`.padEnd(80, '.') }));
  await keep(they(sam).call('PUT', '/api/v1/targets/orders/credential', { credential: { nested: credential } }));
  await keep(they(sam).get('/api/v1/targets'));
  await keep(they(sam).get('/api/v1/doctor'));
  await keep(they(sam).get('/api/v1/log/entries?limit=500'));
  await keep(they(sam).get(`/api/v1/grants/${grant.id}`));
  await keep(they(sam).get('/api/v1/targets/orders/standing'));
  // A target that is not there, and one that does not know Brevet any more: told to the journal, without what was tried.
  await world.apply(changed(world, 'targets:\n  orders:', 'targets:\n  dark: { type: postgresql, config: { host: 127.0.0.1, port: 1, database: x, user: y, tls: disable } }\n  orders:'));
  for (const target of ['dark', 'orders']) {
    done(await keep(they(sam).call('PUT', `/api/v1/targets/${target}/credential`, { credential })));
    const { status } = await keep(they(sam).get(`/api/v1/targets/${target}/standing`));
    assert.equal(status, 502);
  }
  await world.apply(demoFiles(world.target.port));
  const metrics = await world.anonymous('GET', '/metrics');
  answers.push(String(metrics.body));
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  await world.until('ada', grant.id, 'ended');

  const { rows } = await world.database.pool.query<{ body: string }>('select body from brevet.log_entries');
  assert.ok(rows.length > 20 && answers.length > 12 && journal.length > 0);
  const { rows: secrets } = await world.database.pool.query<{ sealed: string }>(`select encode(credential, 'base64') as sealed from brevet.targets`);
  const everywhere = { log: rows.map((row) => row.body).join('\n'), answers: answers.join('\n'), journal, sealed: JSON.stringify(secrets) };
  const privateKeys = [ada, sam].map((caller) => they(caller).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n')[1] as string);
  for (const [where, text] of Object.entries(everywhere)) {
    for (const secret of [password, credential, link, token.password, ...privateKeys]) assert.ok(!text.includes(secret), `${where} holds a secret: ${secret.slice(0, 12)}...`);
  }
  // Not in any column of the store either, but for the log's sealed parts and the hashes: answers kept for repetition are sealed.
  const { rows: columns } = await world.database.pool.query<{ table: string }>(`select tablename as table from pg_tables where schemaname = 'brevet'`);
  for (const { table } of columns) {
    for (const secret of [password, credential, link, token.password]) {
      const { rows: [found] } = await world.database.pool.query<{ n: number }>(`select count(*)::int as n from brevet.${table} t where t::text like '%' || $1 || '%' or t::text like '%' || encode($1::bytea, 'hex') || '%'`, [secret]);
      assert.equal(found?.n, 0, `${table} holds a secret: ${secret.slice(0, 12)}...`);
    }
  }
  // One line, one entry: what was forged is data or nowhere.
  assert.ok(!everywhere.log.includes('forged'), 'reasons are in the personal part, sealed');
  for (const { body } of rows) {
    parseCanonicalJson(body);
    // oxlint-disable-next-line no-control-regex -- what must not be there
    assert.doesNotMatch(body, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  }
  for (const line of journal.split('\n').filter(Boolean)) {
    assert.notEqual((JSON.parse(line) as { msg: string }).msg, 'forged');
    // oxlint-disable-next-line no-control-regex -- what must not be there
    assert.doesNotMatch(line, /[\u0000-\u001f]/);
  }
});

test('H02 quotas: pending requests, live grants, unused tokens', async () => {
  const tries = await Promise.all(Array.from({ length: 30 }, () => they(kim).post<Request>('/api/v1/requests', { entitlement: 'orders-write', reason: 'flood' })));
  assert.equal(tries.filter((reply) => reply.status === 200).length, 20);
  for (const reply of tries.filter((one) => one.status !== 200)) refused(reply, 429, 'quota_exceeded');
  // The way out stays open: the administrator takes everything, and one's own can be withdrawn.
  done(await they(kim).post(`/api/v1/requests/${tries.find((reply) => reply.status === 200)?.body.id}/cancel`));
  assert.equal(done(await they(sam).post<Answer<'revokeOfPerson'>>('/api/v1/principals/kim/revoke', { reason: 'flood' })).requests.length, 19);

  const startAt = new Date(Date.now() + 3_600_000).toISOString();
  const scheduled = () => they(kim).post<Request>('/api/v1/requests', { entitlement: 'orders-read', reason: 'flood', ticket: 'T', startAt, duration: 60 });
  for (let n = 0; n < 5; n++) for (const reply of await Promise.all(Array.from({ length: 10 }, scheduled))) assert.equal(done(reply).state, 'approved');
  refused(await scheduled(), 429, 'quota_exceeded');
  assert.equal(done(await they(sam).post<Answer<'revokeOfPerson'>>('/api/v1/principals/kim/revoke', { reason: 'flood' })).grants.length, 50);

  const grant: Grant = await world.grant('ada', 'orders-read', { seconds: 120 });
  const tokens = await Promise.all(Array.from({ length: 60 }, () => they(ada).post(`/api/v1/grants/${grant.id}/connection-token`)));
  const { rows } = await world.database.pool.query(`select count(*)::int as n from brevet.connection_tokens where consumed_at is null and expires_at > now() and principal_id = (select id from brevet.principals where name = 'ada')`);
  assert.deepEqual(rows, [{ n: 50 }]);
  for (const reply of tokens.filter((one) => one.status !== 200)) refused(reply, 429, 'quota_exceeded');
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
});

test('H03 parser bombs are refused at once, signed in or not', async () => {
  const bombs: readonly [string, string][] = [
    ['depth 10^5', `{"entitlement":${'['.repeat(100_000)}${']'.repeat(100_000)},"reason":"r"}`],
    ['objects 10^5 deep', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['many keys', `{${Array.from({ length: 300_000 }, (_, n) => `"k${n}":1`).join(',')}}`],
    ['many elements', `[${'0,'.repeat(1_900_000)}0]`],
    ['1e400', '{"entitlement":"orders-write","reason":"r","duration":1e400}'],
    ['a long number', `{"entitlement":"orders-write","reason":"r","duration":${'9'.repeat(1_000_000)}}`],
    ['members twice', '{"entitlement":"orders-write","reason":"r","reason":"s"}'],
    ['a name for a pattern', `{"entitlement":"${'a-'.repeat(1_000_000)}","reason":"r"}`],
    ['a long reason', `{"entitlement":"orders-write","reason":"${'a'.repeat(3_000_000)}"}`],
    ['no end', `{"entitlement":"${'\\u0061'.repeat(500_000)}`],
    ['a byte that is no text', '{"entitlement":"orders-write","reason":"\u0000"}'],
  ];
  for (const [what, text] of bombs) {
    for (const call of [() => they(ada).raw('POST', '/api/v1/requests', text), () => world.anonymous('POST', '/api/v1/sign-in/link', text)]) {
      const start = performance.now();
      refused(await call(), 400, 'invalid_input');
      assert.ok(performance.now() - start < 3000, `${what}: ${Math.round(performance.now() - start)} ms`);
    }
  }
  refused(await they(ada).raw('POST', '/api/v1/requests', `{"reason":"${'a'.repeat(4_300_000)}"}`), 413, 'payload_too_large');
  assert.equal(done(await they(ada).get<Answer<'me'>>('/api/v1/me')).name, 'ada');
});
