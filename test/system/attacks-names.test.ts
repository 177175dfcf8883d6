import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { ask, changed, done, refused, review, see, sendTarget, stateOf, told, workload } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller, type Reply } from '#test/worlds/brevet-world.ts';

const run = promisify(execFile);
let world: BrevetWorld;
let [ada, kim, noor, lea, sam]: Caller[] = [];
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld();
  [ada, kim, noor, lea, sam] = await Promise.all(['ada', 'kim', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());

/** Refused for what it is, not for what it hides: nothing changed meanwhile. */
async function changesNothing(calls: readonly (() => Promise<Reply>)[], allowed: readonly string[]): Promise<void> {
  for (const [n, call] of calls.entries()) {
    const was = await stateOf(world);
    const reply = await call();
    assert.ok(allowed.includes(`${reply.status} ${reply.problem?.code}`), `${n}: ${reply.status} ${JSON.stringify(reply.body)}`);
    assert.equal(await stateOf(world), was, `call ${n} changed something: ${call.toString()}`);
  }
}

test('A07 names in other spellings are no names', async () => {
  const spellings = ['Orders-Write', 'ORDERS-WRITE', 'orders-write ', ' orders-write', 'orders-write\n', 'orders-write\t', 'orders-write\u0000', 'orders-write\u200b', 'orders\u2011write', 'orders%2Dwrite', 'orders/write', 'orders%2Fwrite', './orders-write', 'orders-write/', 'orders-write.', 'оrders-write', 'ｏrders-write', 'orders-writé', ''];
  await changesNothing(spellings.map((entitlement) => () => they(ada).post('/api/v1/requests', { entitlement, reason: 'r' })), ['400 invalid_input']);
  await changesNothing([() => they(ada).post('/api/v1/requests', { entitlement: 'orders-writ', reason: 'r' }), () => they(ada).post('/api/v1/requests', { entitlement: 'orders', reason: 'r' })], ['404 not_found']);
  const paths = ['Ada', 'ADA', 'ada%20', '%20ada', 'ada%00', 'ada%2F', 'ada%2f..%2fsam', 'ada%0a', '%61da', 'ada;x=1', 'ad%C3%A0', '%D0%B0da', 'ada%252f', 'sam%2f..%2fada', 'sam/../ada', '%2e%2e', 'ada//'];
  for (const name of paths) {
    const was = await stateOf(world);
    const { status } = await sendTarget(world, `/api/v1/principals/${name}/disable`, { method: 'POST', as: they(sam), signedFor: '/api/v1/principals/ada/disable' });
    assert.ok([400, 401, 404].includes(status), `${name}: ${status}`);
    assert.equal(await stateOf(world), was, name);
  }
  const created = ['Ada', 'ada ', 'аda', 'ada\u200b', 'a/b', 'a%2fb', '-ada', 'ada-', '_ada', '..', '.', 'ada\u202e', 'ad\u0061\u0301', 'x'.repeat(64), '', 'ａda'];
  await changesNothing(created.map((name) => () => they(sam).post('/api/v1/principals', { kind: 'person', name, displayName: 'N' })), ['400 invalid_input']);
});

test('A07 a name is given once, also after its bearer has gone', async () => {
  done(await they(sam).post('/api/v1/principals', { kind: 'person', name: 'zoe', displayName: 'Zoe' }));
  done(await they(sam).post('/api/v1/principals/zoe/disable'));
  done(await they(sam).post('/api/v1/principals/zoe/erase'));
  for (const kind of ['person', 'workload']) {
    refused(await they(sam).post('/api/v1/principals', { kind, name: 'zoe', displayName: 'Another', ...(kind === 'workload' ? { owner: 'ada' } : {}) }), 409, 'already_exists');
  }
});

test('A07 a re-created entitlement brings back nothing of the old one', async () => {
  const pending = await ask(they(ada), { inHours: 1 });
  const approved = await ask(they(ada), { inHours: 1 });
  const { grant } = done(await review(they(noor), approved));
  const [file, ...policies] = demoFiles(world.target.port);
  assert.ok(file && grant);
  const without = file.text.replace(/\n {2}orders-write:[\s\S]*?(?=\n {2}orders-admin:)/, '');
  assert.notEqual(without, file.text);
  await world.apply([{ ...file, text: without }, ...policies]);
  refused(await they(ada).post('/api/v1/requests', { entitlement: 'orders-write', reason: 'r' }), 404, 'not_found');
  await world.until('ada', grant, 'ended');
  assert.equal((await see(they(ada), pending.id)).state, 'cancelled', 'what was asked of the old one is withdrawn with it');

  await world.apply(demoFiles(world.target.port));
  refused(await review(they(noor), pending), 409, 'wrong_state');
  const ended = done(await they(ada).get<Answer<'grant'>>(`/api/v1/grants/${grant}`));
  assert.deepEqual([ended.state, ended.endReason], ['ended', 'entitlement_retired']);
  refused(await they(ada).post(`/api/v1/grants/${grant}/connection-token`), 409, 'no_active_grant');
  const next = await ask(they(ada), { inHours: 1 });
  assert.ok(next.entitlement.revision > pending.entitlement.revision);
  done(await they(ada).post(`/api/v1/requests/${next.id}/cancel`));
});

test('A07 what was asked of a target that is retired since touches it no more', async () => {
  const asked = await ask(they(ada));
  const moved = changed(world, /targets:\n {2}orders:/, 'targets:\n  orders-2:').map((file) => ({ ...file, text: file.text.replaceAll('- target: orders\n', '- target: orders-2\n') }));
  await world.apply(moved);
  const { grant } = done(await review(they(noor), asked));
  const ended = await world.until('ada', grant ?? '', 'ended');
  assert.deepEqual([ended.endReason, ended.activatedAt, await world.roles()], ['target_retired', null, []]);
  await world.apply(demoFiles(world.target.port));
});

test('A08 what misleads in a reason is shown escaped to the reviewer', async () => {
  const tricks: readonly [string, RegExp][] = [
    ['read-only \u202eetirw dna', /\\u\{202e\}/],
    ['for ad\u200bmin', /\\u\{200b\}/],
    ['approve\u2066me\u2069', /\\u\{2066\}.*\\u\{2069\}/],
    ['pаypal refund', /./],
    ['ｆullwidth', /./],
    ['ok\u001b[2K\u001b[1Adenied', /\\u\{1b\}\[2K/],
    ['tag\u{e0041}', /\\u\{e0041\}/],
  ];
  for (const [reason, shown] of tricks) {
    const asked = await ask(they(ada), { reason, ticket: 'T-1' });
    const seen = await see(they(noor), asked.id);
    assert.equal(seen.reason, reason);
    assert.match(seen.reasonEscaped ?? '', shown, reason);
    done(await they(ada).post(`/api/v1/requests/${asked.id}/cancel`));
  }
  const ticket = await ask(they(ada), { ticket: 'OPS\u202e7' });
  assert.match(ticket.reasonEscaped ?? '', /OPS\\u\{202e\}7/);
  const plain = await ask(they(ada), { reason: 'Prüfung der Aufträge' });
  assert.equal(plain.reasonEscaped, null);
  for (const { id } of [ticket, plain]) done(await they(ada).post(`/api/v1/requests/${id}/cancel`));
  await changesNothing(
    ['', ' ', '\n', 'x\u0000y', 'x'.repeat(2001), '\ud800'].map((reason) => () => they(ada).post('/api/v1/requests', { entitlement: 'orders-write', reason })),
    ['400 invalid_input'],
  );
});

test("A09 other people's requests, grants, sessions and keys do not exist", async () => {
  const pending = await ask(they(ada), { inHours: 1 });
  const grant = await world.grant('ada', 'orders-write', { seconds: 600, approvers: ['kim'] });
  await run('psql', ['-Atc', 'select 1'], { env: await world.clientEnv('ada') });
  const { items: [session] } = done(await they(ada).get<Answer<'sessions'>>(`/api/v1/sessions?grant=${grant.id}`));
  const { items: [key] } = done(await they(ada).get<Answer<'keys'>>('/api/v1/me/keys'));
  assert.ok(session && key);
  const publicKey = '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyvZkk6p3XrVVqTQ0Hs0Z6i5ZqE0j5k8tHqC9Y0r1m3yX0N9vYV1m0Yw3H0pYt0m4iJt6m1kqv0o3cX0d8gqY1A==\n-----END PUBLIC KEY-----\n';
  const routesOf = (request: string, granted: string, live: string, enrolled: string) => [
    () => they(lea).get(`/api/v1/requests/${request}`),
    () => they(lea).post(`/api/v1/requests/${request}/cancel`),
    () => they(lea).post(`/api/v1/requests/${request}/reviews`, { decision: 'approve', hash: pending.hash }),
    () => they(lea).post(`/api/v1/requests/${request}/reviews`, { decision: 'deny', hash: pending.hash, reason: 'mine now' }),
    () => they(lea).get(`/api/v1/grants/${granted}`),
    () => they(lea).post(`/api/v1/grants/${granted}/extend`, { duration: '5m', reason: 'r' }),
    () => they(lea).post(`/api/v1/grants/${granted}/finish`),
    () => they(lea).post(`/api/v1/grants/${granted}/revoke`, { reason: 'r' }),
    () => they(lea).post(`/api/v1/grants/${granted}/connection-token`),
    () => they(lea).get(`/api/v1/grants/${granted}/evidence`),
    () => they(lea).post('/api/v1/certificates', { publicKey, grant: granted }),
    () => they(lea).post(`/api/v1/sessions/${live}/end`),
    () => they(lea).get(`/api/v1/sessions/${live}/recording`),
    () => they(lea).get(`/api/v1/log/entries?grant=${granted}`),
    () => they(lea).get(`/api/v1/log/entries?request=${request}`),
    () => they(lea).call('DELETE', `/api/v1/me/keys/${enrolled}`),
  ];
  const real = routesOf(pending.id, grant.id, session.id, key.id);
  await changesNothing(real, ['404 not_found']);
  // What is somebody else's and what is nobody's can't be told apart.
  const nobodys = (id: string) => id.slice(0, 4) + '0'.repeat(26);
  const unknown = routesOf(nobodys(pending.id), nobodys(grant.id), nobodys(session.id), nobodys(key.id));
  for (const [n, call] of real.entries()) {
    const [one, other] = [await call(), await (unknown[n] as () => Promise<Reply>)()];
    assert.deepEqual({ ...one.problem, trace: '' }, { ...other.problem, trace: '' }, `call ${n} tells them apart`);
  }
  // Lists name nothing of hers either, however they are asked.
  for (const path of ['/api/v1/requests', '/api/v1/requests?view=inbox', '/api/v1/grants', '/api/v1/grants?person=ada', '/api/v1/sessions', `/api/v1/sessions?grant=${grant.id}`]) {
    assert.deepEqual(done(await they(lea).get<{ items: unknown[] }>(path)).items, [], path);
  }
  for (const path of ['/api/v1/requests?view=all', '/api/v1/grants?view=all', '/api/v1/sessions?view=all', '/api/v1/log/entries']) refused(await they(lea).get(path), 403, 'forbidden');
  done(await they(ada).post(`/api/v1/grants/${grant.id}/finish`));
  done(await they(ada).post(`/api/v1/requests/${pending.id}/cancel`));
});

test('A10 an administrator publishes a policy that approves him', async () => {
  const files = changed(world, '@id("request-orders")', '@id("sam-helps-himself")\npermit (principal == Person::"sam", action in [Action::"request", Action::"autoApprove"], resource == Entitlement::"orders-write");\n\n@id("request-orders")');
  done(await they(sam).post('/api/v1/configuration/apply', { files }));
  const preview = done(await they(sam).post<Answer<'previewRequest'>>('/api/v1/requests/preview', { entitlement: 'orders-write', reason: 'r' }));
  assert.deepEqual([preview.outcome, preview.autoApprove.allowed, preview.autoApprove.failed[0]?.id], ['needs_review', false, 'separation-of-duties']);
  const asked = await ask(they(sam), { inHours: 1 });
  assert.deepEqual([asked.state, asked.grant], ['pending', null]);
  // He makes himself a reviewer: for this request it is too late, and it is his own anyway.
  const helped = files.map((file) => ({ ...file, text: file.text.replace('members: [kim, noor]', 'members: [kim, noor, sam]') }));
  const hers = await ask(they(ada), { inHours: 1 });
  done(await they(sam).post('/api/v1/configuration/apply', { files: helped }));
  refused(await review(they(sam), asked), 403, 'own_request');
  refused(await review(they(sam), hers), 403, 'not_a_reviewer');
  assert.deepEqual(await told(world, { request: hers.id }), ['request.submitted']);
  // Published by somebody else, the same policy may approve him; and each request names the version that judged it.
  await world.apply(demoFiles(world.target.port));
  await world.apply(files);
  const later = await ask(they(sam), { inHours: 1 });
  assert.equal(later.state, 'approved');
  assert.ok(later.policyVersion > asked.policyVersion);
  await world.apply(demoFiles(world.target.port));
});

test('E09 a workload can neither review nor administer, nor act for a stranger', async () => {
  // Even as a member of the reviewers' group and named by policy.
  await world.apply(changed(world, 'members: [kim, noor]', 'members: [kim, noor, report-bot]').map((file) => ({ ...file, text: file.text.replace('permit (\n  principal is Person,\n  action in [Action::"administer"', 'permit (principal == Workload::"report-bot", action, resource);\npermit (\n  principal is Person,\n  action in [Action::"administer"') })));
  const bot = await workload(world);
  const asked = await ask(they(kim), { inHours: 1 });
  assert.ok(!asked.stages[0]?.reviewers.includes('report-bot'));
  await changesNothing(
    [
      () => review(bot, asked),
      () => bot.post(`/api/v1/requests/${asked.id}/reviews`, { decision: 'deny', hash: asked.hash, reason: 'r' }),
      () => bot.call('PUT', '/api/v1/me/password', { password: 'a long enough password' }),
      () => bot.get('/api/v1/policies'),
      () => bot.get('/api/v1/principals'),
      () => bot.post('/api/v1/principals', { kind: 'person', name: 'pal', displayName: 'Pal', administrator: true }),
      () => bot.post('/api/v1/principals/kim/disable'),
      () => bot.post('/api/v1/principals/sam/sign-in-link'),
      () => bot.post('/api/v1/configuration/apply', { files: [] }),
      () => bot.call('PUT', '/api/v1/targets/orders/credential', { credential: 'x' }),
    ],
    ['403 forbidden'],
  );
  refused(await they(sam).post('/api/v1/principals', { kind: 'workload', name: 'boss-bot', displayName: 'B', owner: 'ada', administrator: true }), 400, 'invalid_input');
  refused(await they(sam).post('/api/v1/principals/report-bot/sign-in-link'), 404, 'not_found');
  await world.apply(demoFiles(world.target.port));
});

test('F07 prototypes, arrays for strings, members twice', async () => {
  const good = { entitlement: 'orders-write', reason: 'r' };
  const bodies: unknown[] = [
    { ...good, reason: ['r'] }, { ...good, entitlement: ['orders-write'] }, { ...good, entitlement: { $ne: '' } }, { ...good, duration: ['30m'] }, { ...good, duration: [60] }, { ...good, duration: true }, { ...good, ticket: null }, { ...good, ticket: [] },
    { ...good, startAt: 0 }, { ...good, constructor: { prototype: { administrator: true } } }, { ...good, prototype: {} }, { ...good, toString: 'x' }, [good], 'x', 7, null, true, [], {},
  ];
  await changesNothing(bodies.map((body) => () => they(ada).post('/api/v1/requests', body)), ['400 invalid_input']);
  const raw = ['{"entitlement":"orders-write","reason":"r","__proto__":{"duration":60}}', '{"entitlement":"orders-read","entitlement":"orders-write","reason":"r"}', '{"entitlement":"orders-write","reason":"r","reaso\\u006e":"s"}', '{"__proto__":{"entitlement":"orders-write"},"reason":"r"}'];
  await changesNothing(raw.map((text) => () => they(ada).raw('POST', '/api/v1/requests', text)), ['400 invalid_input']);
  assert.equal(({} as Record<string, unknown>)['administrator'], undefined);
  const scopes = done(await they(ada).post<{ id: string; hash: string }>('/api/v1/requests', good));
  await changesNothing(
    [{ __proto__x: {} }, { constructor: {} }, { '00': {} }, { '-1': {} }, { '9': {} }, [{}]].map((wrong) => () => review(they(noor), scopes, { scopes: wrong })),
    ['400 invalid_input'],
  );
  done(await they(ada).post(`/api/v1/requests/${scopes.id}/cancel`));
});

test('F07 "constructor" is a name like any other', async () => {
  const files = changed(world, 'report-bot: { name: Nightly report, owner: ada }', 'report-bot: { name: Nightly report, owner: ada }\n  constructor: { name: Builder, owner: ada }');
  await world.apply(files);
  const { items } = done(await they(sam).get<Answer<'principals'>>('/api/v1/principals'));
  const made = items.find((one) => one.name === 'constructor');
  assert.deepEqual([made?.kind, made?.displayName, made?.owner?.name], ['workload', 'Builder', 'ada']);
  const unknown = changed(world, '- target: orders', '- target: constructor').map((file) => ({ path: file.path, text: file.text }));
  const refusal = refused(await they(sam).post('/api/v1/configuration/apply', { files: unknown }), 422, 'invalid_configuration');
  assert.match(refusal.detail, /there is no target "constructor"/);
  await world.apply(demoFiles(world.target.port));
});
