import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openSession } from '#app/gate/open-session.ts';
import type { Answer } from '#contract/routes.ts';
import { makeId } from '#domain/id.ts';
import type { Refusal } from '#domain/refusal.ts';
import { ask, done, refused, review, see, told, whenTrue, workload, type Grant } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller, type Reply } from '#test/worlds/brevet-world.ts';

const run = promisify(execFile);
let world: BrevetWorld;
let [ada, kim, noor, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld();
  [ada, kim, noor, sam] = await Promise.all(['ada', 'kim', 'noor', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

type Token = Answer<'connectionToken'>;
const tokenFor = (caller: Caller, grant: string): Promise<Reply<Token>> => caller.post<Token>(`/api/v1/grants/${grant}/connection-token`);
const publicKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }).toString();
const certificateFor = (caller: Caller, grant: string): Promise<Reply<Answer<'issueCertificate'>>> => caller.post('/api/v1/certificates', { publicKey: publicKey(), grant });

/** What libpq is told to sign in with a one-time token. */
const envOf = ({ user, password }: Token): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '', PGSSLMODE: 'require', PGHOST: 'localhost', PGPORT: String(world.brokerPort), PGUSER: user, PGPASSWORD: password, PGDATABASE: 'orders', PGCONNECT_TIMEOUT: '10',
});
const select1 = (env: Record<string, string>): Promise<string> => run('psql', ['-wAtc', 'select 1'], { env }).then(({ stdout }) => stdout.trim());
const fails = (env: Record<string, string>, why: RegExp): Promise<void> => assert.rejects(select1(env), (error: { stderr?: string }) => why.test(error.stderr ?? ''));

test('A12 nothing to connect with before there is an active grant', async () => {
  const env = await world.clientEnv('ada');
  const asked = await ask(they(ada), { inHours: 1 });
  await fails(env, /no active grant/);
  done(await review(they(noor), asked));
  const approved = await see(they(ada), asked.id);
  const grant = done(await they(ada).get<Grant>(`/api/v1/grants/${approved.grant}`));
  assert.deepEqual([grant.state, grant.connect, grant.actions.connect.allowed], ['scheduled', null, false]);
  refused(await tokenFor(they(ada), grant.id), 409, 'no_active_grant');
  refused(await certificateFor(they(ada), grant.id), 409, 'no_active_grant');
  await fails(env, /no active grant/);
  await fails({ ...env, PGOPTIONS: `-c brevet.grant=${grant.id}` }, /no active grant/);
  // Nothing is prepared: neither here, nor on the target, nor in what was answered.
  assert.deepEqual(await world.roles(), []);
  const { rows } = await world.database.pool.query(
    `select (select count(*)::int from brevet.connection_tokens) as tokens, (select count(*)::int from brevet.grant_parts where secret is not null) as secrets,
            (select count(*)::int from brevet.certificates where grant_id is not null) as certificates`);
  assert.deepEqual(rows, [{ tokens: 0, secrets: 0, certificates: 0 }]);
  assert.doesNotMatch(JSON.stringify([asked, approved, grant]), /password|bvt_|BEGIN|postgresql:\/\//i);
  // Taken away before it began: it never begins.
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  await world.until('ada', grant.id, 'ended');
  assert.deepEqual((await told(world, { grant: grant.id })).filter((type) => type.startsWith('grant.')), ['grant.scheduled', 'grant.revoking', 'grant.part_absent', 'grant.ended']);
});

test('A12 nothing to connect with after the revoke', async () => {
  const grant = await world.grant('ada', 'orders-write', { seconds: 600, approvers: ['kim'] });
  const env = await world.clientEnv('ada');
  const token = done(await tokenFor(they(ada), grant.id));
  assert.equal(await select1(env), '1');
  done(await they(sam).post(`/api/v1/grants/${grant.id}/revoke`, { reason: 'enough' }));
  await fails(envOf(token), /FATAL: .*(?:does not open anything|no active grant|not active)/);
  await fails(env, /no active grant/);
  refused(await tokenFor(they(ada), grant.id), 409, 'no_active_grant');
  refused(await certificateFor(they(ada), grant.id), 409, 'no_active_grant');
  const ended = await world.until('ada', grant.id, 'ended');
  assert.deepEqual([ended.endReason, ended.connect, await world.roles()], ['revoked', null, []]);
});

test('B01 durations that are none, and durations that never end', async () => {
  const wrong = [0, -1, -0.5, 1.5, 1e308, 2 ** 53, 31_622_401, '', '0', '0s', '-5m', '1.5h', '1e3', 'NaN', 'Infinity', 'never', '999999999999d', '5m ', '٣m', '1h1h', ' 5m', null, true, [60], { seconds: 60 }];
  const before = await see(they(ada), (await ask(they(ada), { inHours: 1 })).id);
  const live = await world.grant('ada', 'orders-read', { seconds: 300 });
  for (const duration of wrong) {
    for (const reply of [
      await they(ada).post('/api/v1/requests', { entitlement: 'orders-read', reason: 'r', duration }),
      await they(ada).post(`/api/v1/grants/${live.id}/extend`, { reason: 'r', duration }),
      await review(they(noor), before, { duration }),
    ]) {
      assert.ok(reply.status === 400 && ['invalid_input', 'invalid_duration'].includes(reply.problem?.code ?? ''), `${JSON.stringify(duration)}: ${JSON.stringify(reply.body)}`);
    }
  }
  for (const raw of ['1e400', '-1e400', 'NaN', 'Infinity', '0x10', '1_000']) {
    refused(await they(ada).raw('POST', `/api/v1/grants/${live.id}/extend`, `{"reason":"r","duration":${raw}}`), 400, 'invalid_input');
  }
  refused(await they(ada).post('/api/v1/requests', { entitlement: 'orders-read', reason: 'r', duration: 3601 }), 422, 'duration_too_long');
  refused(await review(they(noor), before, { duration: 1801 }), 422, 'duration_too_long');
  const { rows } = await world.database.pool.query('select deadline from brevet.grants where id = $1', [live.id]);
  assert.equal((rows[0] as { deadline: Date }).deadline.toISOString(), live.deadline);
  done(await they(ada).post(`/api/v1/requests/${before.id}/cancel`));
  done(await they(ada).post(`/api/v1/grants/${live.id}/finish`));
});

test('B01 extending again and again is no standing right', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 120 });
  let last = Date.parse(grant.deadline ?? '');
  let refusals = 0;
  for (let n = 0; n < 8; n++) {
    const reply = await they(ada).post(`/api/v1/grants/${grant.id}/extend`, { duration: '25m', reason: 'more', ticket: 'T-1' });
    const { deadline, state } = done(await they(ada).get<Grant>(`/api/v1/grants/${grant.id}`));
    const left = Date.parse(deadline ?? '') - Date.now();
    assert.ok(state === 'active' && left <= 3_601_000, `${left} ms left`);
    assert.ok(Date.parse(deadline ?? '') >= last);
    last = Date.parse(deadline ?? '');
    if (reply.status !== 200) refusals += 1;
  }
  assert.ok(left(last) > 3_500_000 && refusals <= 8);
  // Somebody approves more time with less: a scope has no place in an extension, and its time can only be cut.
  const asked = done(await they(ada).post<Answer<'extendGrant'>>(`/api/v1/grants/${grant.id}/extend`, { duration: '40m', reason: 'much more' }));
  assert.equal(asked.state, 'pending');
  refused(await review(they(noor), asked, { scopes: { 0: { database: 'orders', access: 'read-only', tables: ['shop.orders'] } } }), 400, 'invalid_input');
  refused(await review(they(noor), asked, { duration: '41m' }), 422, 'duration_too_long');
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  refused(await review(they(noor), asked), 409, 'wrong_state');
  await world.until('ada', grant.id, 'ended');
});
const left = (until: number): number => until - Date.now();

test('B01 extensions in the last moments, at the deadline and after it', async () => {
  const grants = await Promise.all(Array.from({ length: 10 }, () => world.grant('ada', 'orders-read', { seconds: 4 })));
  const late = done(await they(ada).post<Answer<'extendGrant'>>(`/api/v1/grants/${grants[0]?.id}/extend`, { duration: '40m', reason: 'needs a reviewer' }));
  // From just before to just after: each is either a whole extension or none.
  await Promise.all(grants.map(async ({ id, deadline }, n) => {
    const was = Date.parse(deadline ?? '');
    await sleep(was - Date.now() - 20 + n * 4);
    const reply = await they(ada).post(`/api/v1/grants/${id}/extend`, { duration: 1, reason: 'r', ticket: 'T' });
    if (reply.status !== 200) refused(reply, 409, 'wrong_state');
    const { rows } = await world.database.pool.query<{ deadline: Date }>('select deadline from brevet.grants where id = $1', [id]);
    assert.equal(rows[0]?.deadline.getTime(), was + (reply.status === 200 ? 1000 : 0));
    const { rows: entries } = await world.database.pool.query<{ at: Date; body: string }>(`select at, body from brevet.log_entries where grant_id = $1 and type = 'grant.extended'`, [id]);
    assert.equal(entries.length, reply.status === 200 ? 1 : 0);
    for (const { at, body } of entries) assert.ok(at < new Date((JSON.parse(body) as { data: { from: string } }).data.from), 'extended after the deadline');
    await world.until('ada', id, 'ended');
    refused(await they(ada).post(`/api/v1/grants/${id}/extend`, { duration: '5m', reason: 'r', ticket: 'T' }), 409, 'wrong_state');
  }));
  // Approved too late, it brings nothing back; not even by hand.
  refused(await review(they(noor), late), 409, 'wrong_state');
  const { rows: [ended] } = await world.database.pool.query<{ id: string }>(`select id from brevet.grants where state = 'ended' and deadline is not null limit 1`);
  await assert.rejects(world.database.pool.query(`update brevet.grants set deadline = now() + interval '1 hour' where id = $1`, [ended?.id]), /past moving/);
  await assert.rejects(world.database.pool.query(`update brevet.grants set state = 'active', end_reason = null, revoke_due_at = null, ended_at = null where id = $1`, [ended?.id]), /cannot go from/);
  assert.deepEqual(await world.roles(), []);
});

test('B01 an extension after the deadline moves nothing, even while the end itself is held up', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 3 });
  const pending = done(await they(ada).post<Answer<'extendGrant'>>(`/api/v1/grants/${grant.id}/extend`, { duration: '40m', reason: 'needs a reviewer' }));
  const holder = await world.database.pool.connect();
  try {
    // Whoever ends what is due passes over what somebody holds.
    await holder.query('begin');
    await holder.query('select from brevet.grants where id = $1 for update', [grant.id]);
    await sleep(Date.parse(grant.deadline ?? '') - Date.now() + 60);
    const late = [they(ada).post(`/api/v1/grants/${grant.id}/extend`, { duration: '5m', reason: 'r', ticket: 'T' }), review(they(noor), pending)];
    await sleep(250);
    await holder.query('commit');
    for (const reply of await Promise.all(late)) refused(reply, 409, 'wrong_state');
  } finally {
    holder.release();
  }
  const ended = await world.until('ada', grant.id, 'ended');
  assert.deepEqual([ended.deadline, ended.endReason], [grant.deadline, 'expired']);
});

test('B02 token, certificate and session never outlive the grant', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 8 });
  const deadline = Date.parse(grant.deadline ?? '');
  const token = done(await tokenFor(they(ada), grant.id));
  assert.ok(Date.parse(token.expiresAt) <= deadline, `the token lives to ${token.expiresAt}, the grant to ${grant.deadline}`);
  // Certificates count whole seconds: asked for all over a second, whatever the fractions are.
  for (let n = 0; n < 9; n++) {
    const bound = done(await certificateFor(they(ada), grant.id));
    assert.ok(new X509Certificate(bound.certificate).validToDate.getTime() <= deadline, `the certificate lives to ${bound.notAfter}, the grant to ${grant.deadline}`);
    await sleep(120);
  }
  const psql = spawn('psql', ['-wAtc', 'select pg_sleep(60)'], { env: envOf(token), stdio: 'ignore' });
  const [code] = await once(psql, 'exit');
  assert.notEqual(code, 0);
  assert.ok(Date.now() - deadline < 2000, `cut ${Date.now() - deadline} ms late`);
  await world.until('ada', grant.id, 'ended');
  const { rows } = await world.database.pool.query<{ late: number }>(`select extract(epoch from ended_at - $2::timestamptz)::float8 as late from brevet.sessions where grant_id = $1`, [grant.id, grant.deadline]);
  assert.ok(rows.length === 1 && (rows[0]?.late ?? 9) < 1.5, JSON.stringify(rows));
});

test('D09 a connection token works once, for one session, and for nobody else', async () => {
  const grant = await world.grant('ada', 'orders-read', { seconds: 300 });
  const once1 = done(await tokenFor(they(ada), grant.id));
  assert.equal(await select1(envOf(once1)), '1');
  await fails(envOf(once1), /this token does not open anything/);

  for (let round = 0; round < 3; round++) {
    const token = done(await tokenFor(they(ada), grant.id));
    const tries = await Promise.allSettled(Array.from({ length: 6 }, () => select1(envOf(token))));
    assert.equal(tries.filter((one) => one.status === 'fulfilled').length, 1, JSON.stringify(tries));
  }
  // A wrong secret spends nothing, and says nothing of whether there was such a token.
  const token = done(await tokenFor(they(ada), grant.id));
  const guess = await run('psql', ['-wAtc', 'select 1'], { env: envOf({ ...token, password: `${token.password}x` }) }).catch((error: { stderr: string }) => error);
  const unknown = await run('psql', ['-wAtc', 'select 1'], { env: envOf({ ...token, user: 'ada/000000000000', password: 'x' }) }).catch((error: { stderr: string }) => error);
  const words = ({ stderr }: { stderr: string }) => stderr.replaceAll(/ada\/\w+/g, 'ada/...');
  assert.match(guess.stderr, /FATAL/);
  assert.equal(words(guess), words(unknown));
  assert.equal(await select1(envOf(token)), '1');
  // Another's grant has no token for her, and the handle of one grant does not open another.
  refused(await tokenFor(they(kim), grant.id), 404, 'not_found');
  const other = done(await tokenFor(they(ada), grant.id));
  await fails({ ...envOf(other), PGDATABASE: 'elsewhere' }, /FATAL/);
  const kept = done(await tokenFor(they(ada), grant.id));
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  await fails(envOf(kept), /FATAL/);
  await world.until('ada', grant.id, 'ended');
  const { rows } = await world.database.pool.query(`select count(*)::int as leaks from brevet.connection_tokens where verifier::text like '%' || $1 || '%'`, [token.password]);
  assert.deepEqual(rows, [{ leaks: 0 }]);
});

test('A12 what opens a session in one protocol opens none in another, and is not spent by the attempt', async () => {
  const grant = await world.grant('ada', 'orders-read');
  const token = done(await tokenFor(they(ada), grant.id));
  const handle = token.user.slice(token.user.lastIndexOf('/') + 1);
  const ask = {
    protocol: 'ssh', broker: makeId('broker', Date.now(), randomBytes(10)), proof: { by: 'token', handle }, target: 'orders', within: null, grant: null, request: null,
    waitSeconds: 0, client: { address: '127.0.0.1', application: null },
  } as const;
  await assert.rejects(openSession(world.server.app, ask), (error: Refusal) => error.code === 'unsupported' && /by postgresql, not by ssh/.test(error.message));
  assert.equal(await select1(envOf(token)), '1');
});

test('B13 disabling somebody ends everything within ten seconds, also of the workloads they own', async () => {
  done(await they(sam).post('/api/v1/principals/ada/revoke', { reason: 'a clean start' }));
  const [hers, bot] = [await world.grant('ada', 'orders-write', { seconds: 600, approvers: ['kim'] }), await workload(world)];
  const asked = done(await bot.post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-read', reason: 'nightly', onBehalfOf: 'ada', duration: 600 }));
  const pending = await ask(they(ada), { inHours: 1 });
  const theirs = asked.grant ?? (done(await review(they(noor), asked)).grant as string);
  await whenTrue(world, `(select state = 'active' from brevet.grants where id = $1)`, [theirs]);
  const botToken = done(await tokenFor(bot, theirs));
  const psqls = [await world.clientEnv('ada'), envOf(botToken)].map((env) => spawn('psql', ['-wAtc', 'select pg_sleep(60)'], { env, stdio: 'ignore' }));
  const exits = psqls.map((psql) => once(psql, 'exit'));
  await whenTrue(world, `(select count(*) = 2 from brevet.sessions where state = 'active')`);

  const start = performance.now();
  const taken = done(await they(sam).post<Answer<'disablePrincipal'>>('/api/v1/principals/ada/disable'));
  assert.deepEqual([[...taken.grants].sort(), taken.requests, taken.sessions], [[hers.id, theirs].sort(), [pending.id], 2]);
  await Promise.all(exits);
  await whenTrue(world, `(select count(*) = 2 from brevet.grants where id = any($1) and state = 'ended' and end_reason = 'identity_disabled')`, [[hers.id, theirs]]);
  const took = performance.now() - start;
  assert.ok(took < 10_000, `${took} ms`);
  assert.deepEqual(await world.roles(), []);
  for (const caller of [they(ada), bot]) {
    refused(await caller.get('/api/v1/me'), 401, 'unauthenticated');
    refused(await caller.post('/api/v1/requests', { entitlement: 'orders-read', reason: 'r' }), 401, 'unauthenticated');
  }
  // Enabled again, she gets nothing back.
  done(await they(sam).post('/api/v1/principals/ada/enable'));
  assert.deepEqual([(await see(they(ada), pending.id)).state, done(await they(ada).get<Grant>(`/api/v1/grants/${hers.id}`)).state], ['cancelled', 'ended']);
});
