import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ApiDouble, type Handlers, Refused, sent } from '#test/worlds/api-double.ts';
import { activeGrant, ana, endedGrant, entitlement, grantId, keyId, orders, ordersRead, page, permits, refuses, session, sessionId } from '#test/worlds/api-samples.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';

async function signedIn(handlers: Handlers) {
  const double = await ApiDouble.start(handlers);
  const world = await CliWorld.make();
  await world.signIn(double);
  return {
    double,
    folder: world.folder,
    run: world.run.bind(world),
    async [Symbol.asyncDispose]() {
      await double[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      assert.deepEqual(double.complaints, []);
    },
  };
}

test('grants show by shape what is live, verified gone, and overdue', async () => {
  const overdue = { ...activeGrant(), state: 'revoking' as const, overdueAt: '2026-11-24T12:00:00Z', revokeDueAt: '2026-11-24T12:00:00Z' };
  await using world = await signedIn({ grants: () => page(activeGrant(), endedGrant(), overdue) });
  const ran = await world.run(['grants', '--all', '--ended']);
  assert.match(ran.stdout, /● active[^]*ends \d\d:\d\d CET, in 17 min[^]*■ ended[^]*▲ overdue/);
  assert.deepEqual(world.double.calls[0]?.query, { limit: 50, view: 'all' });
  await world.run(['grants']);
  assert.deepEqual(world.double.calls[1]?.query, { limit: 50, view: 'mine', live: 'true' });
});

test('grants and show tell what holds up a grant, and what to do', async () => {
  const grant = activeGrant();
  const held = { ...grant, state: 'activating' as const, parts: grant.parts.map((part) => ({ ...part, attempts: 2, lastError: 'target_unreachable: no\u001b[2J answer', nextStep: 'brevet doctor tells more.' })) };
  await using world = await signedIn({ grants: () => page(held, activeGrant()), grant: () => held });
  const list = (await world.run(['grants'])).stdout;
  assert.match(list, new RegExp(`\\n▲ ${grantId} on orders: target_unreachable: no\\\\e\\[2J answer\\n {2}brevet doctor tells more\\.\\n$`));
  assert.equal(list.match(/▲/g)?.length, 1);
  const shown = (await world.run(['show', grantId])).stdout;
  assert.match(shown, /attempts +2; last problem: target_unreachable: no\\e\[2J answer[^]*what to do +brevet doctor tells more\./);
  const { items } = JSON.parse((await world.run(['grants', '--json'])).stdout) as { items: { parts: { nextStep: string }[] }[] };
  assert.equal(items[0]?.parts[0]?.nextStep, 'brevet doctor tells more.');
});

test('lists follow their pages up to the limit, and say when there is more', async () => {
  const numbered = (n: number) => ({ ...activeGrant(), id: `grt_01jd000000000000000000${String(n).padStart(4, '0')}` });
  await using world = await signedIn({
    grants: ({ query }) => {
      const from = Number(query['cursor'] ?? 0);
      return { items: Array.from({ length: Number(query['limit']) }, (_, i) => numbered(from + i)), next: String(from + Number(query['limit'])) };
    },
  });
  const ran = await world.run(['grants', '--limit', '700', '--json']);
  const { items, next } = JSON.parse(ran.stdout) as { items: { id: string }[]; next: string };
  assert.deepEqual([items.length, new Set(items.map((each) => each.id)).size, next], [700, 700, '700']);
  assert.match((await world.run(['grants', '--limit', '2'])).stdout, /… and more/);
  assert.equal((await world.run(['grants', '--limit', '0'])).code, 2);
});

test('a reader that stops early is no error', async () => {
  const many = Array.from({ length: 500 }, () => activeGrant());
  await using world = await signedIn({ grants: () => page(...many) });
  const program = new URL('../../../bin/brevet', import.meta.url).pathname;
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', `${program} grants --limit 500 --json | head -1`], { env: { ...process.env, BREVET_HOME: join(world.folder, 'home') } });
  assert.deepEqual([stdout, stderr], ['{\n', '']);
});

test('give back, extend, revoke: the right calls, with what they need', async () => {
  await using world = await signedIn({
    finishGrant: () => endedGrant(), revokeGrant: () => endedGrant(),
    revokeOfPerson: () => ({ grants: [grantId], requests: [], sessions: 2 }), revokeOnTarget: () => ({ grants: [], requests: [], sessions: 0 }),
  });
  assert.match((await world.run(['finish', grantId])).stdout, /■ ended/);
  assert.equal((await world.run(['revoke', grantId, '--reason', 'incident'])).code, 0);
  assert.match((await world.run(['revoke', '--person', 'ana', '--reason', 'left', '--yes'])).stdout, /1 grants are being taken away, 0 requests cancelled, 2 sessions ended/);
  assert.equal((await world.run(['revoke', '--target', 'orders', '--reason', 'x'])).code, 2, 'asks, and there is no terminal');
  assert.equal((await world.run(['revoke', grantId, '--person', 'ana', '--reason', 'x', '--yes'])).code, 2);
  assert.deepEqual(world.double.calls.map((call) => [call.route, call.params, call.body]), [
    ['finishGrant', { id: grantId }, undefined],
    ['revokeGrant', { id: grantId }, { reason: 'incident' }],
    ['revokeOfPerson', { name: 'ana' }, { reason: 'left' }],
  ]);
});

test('entitlements say who decides, and why what is locked is locked', async () => {
  const locked = { ...entitlement, name: 'orders-admin', request: { allowed: false, reason: 'only for dba' } };
  await using world = await signedIn({ entitlements: () => page(entitlement, locked) });
  const ran = await world.run(['entitlements']);
  assert.match(ran.stdout, /orders-read .*1h, max 4h .*1 of dba[^]*orders-admin .*locked: only for dba/);
});

test('lists of the catalogue, and a recording, are followed to their end', async () => {
  const at = '2026-11-24T12:05:00Z';
  const told = (text: string) => ({ at, text, truncated: false, long: null, masked: false, durationMs: 1, rows: 1, outcome: 'ok' });
  await using world = await signedIn({
    entitlements: ({ query }) => (query['cursor'] === undefined ? { items: [entitlement], next: 'orders-read' } : page({ ...entitlement, name: 'the-last' })),
    recording: ({ query }) => ({
      session: sessionId, complete: query['cursor'] === '4.2', statements: [told(`after ${query['cursor'] ?? 'nothing'}`)], next: query['cursor'] === undefined ? '0.7' : query['cursor'] === '0.7' ? '4.2' : null,
    }),
  });
  assert.match((await world.run(['entitlements'])).stdout, /orders-read[^]*the-last/);
  const recording = JSON.parse((await world.run(['statements', sessionId, '--json'])).stdout) as { complete: boolean; next: null; statements: { text: string }[] };
  assert.deepEqual([recording.statements.map(({ text }) => text), recording.complete, recording.next], [['after nothing', 'after 0.7', 'after 4.2'], true, null]);
});

test('statements, with hostile text and line breaks, one line each', async () => {
  const at = '2026-11-24T12:05:00Z';
  await using world = await signedIn({
    recording: () => ({ session: sessionId, complete: false, statements: [{ at, text: 'select 1\n  from t', truncated: false, long: null, masked: false, durationMs: 1.25, rows: 3, outcome: 'ok' }, { at, text: "select '\u001b]0;x\u0007'", truncated: true, long: { bytes: 20000000, sha256: 'ab'.repeat(32) }, masked: false, durationMs: null, rows: null, outcome: 'refused' }], next: null }),
    sessions: () => page(session),
    endSession: () => ({ ...session, state: 'ended', endedAt: at, endReason: 'ended_by_admin' }),
  });
  const ran = await world.run(['statements', sessionId]);
  assert.match(ran.stdout, /13:05:00 CET  1\.3 +3  ok +select 1 from t\n[^]*select '\\e\]0;x\\x07'\n.*not complete yet/);
  assert.match((await world.run(['sessions', '--live'])).stdout, /● active/);
  assert.match((await world.run(['show', sessionId])).stdout, /Ana Novak/);
  assert.match((await world.run(['sessions', 'end', sessionId])).stdout, /ended_by_admin/);
});

const plan = { base: 'b1', changes: [{ kind: 'entitlement' as const, name: 'orders-read', change: 'update' as const, lines: ['maxDuration: 4h -> 1h'] }], findings: [] };
const finding = { severity: 'error' as const, code: 'unknown_group', message: 'there is no group "dbaa"', file: 'orders.yaml', line: 12, column: 5, policy: null };

async function accessFolder(folder: string): Promise<string> {
  const access = join(folder, 'access');
  await mkdir(join(access, 'policies', '.hidden'), { recursive: true });
  await writeFile(join(access, 'orders.yaml'), 'a: 1\n');
  await writeFile(join(access, 'policies', 'base.cedar'), 'permit(principal, action, resource);\n');
  await writeFile(join(access, 'policies', 'base.test.yaml'), 'tests: []\n');
  await writeFile(join(access, 'policies', '.hidden', 'no.yaml'), 'secret\n');
  await writeFile(join(folder, 'outside.yaml'), 'secret\n');
  await symlink(join(folder, 'outside.yaml'), join(access, 'link.yaml'));
  return access;
}

test('plan and apply: the files below the folder, a readable diff, the base of the plan', async () => {
  await using world = await signedIn({ planConfiguration: () => plan, applyConfiguration: () => plan });
  const access = await accessFolder(world.folder);
  const planned = await world.run(['plan', access]);
  assert.equal(planned.stdout, '~ update   entitlement orders-read\n             maxDuration: 4h -> 1h\n0 to create, 1 to update, 0 to retire\n');
  const paths = sent<{ files: { path: string }[] }>(world.double.calls[0]).files.map((file) => file.path);
  assert.deepEqual(paths, ['orders.yaml', 'policies/base.cedar', 'policies/base.test.yaml']);
  assert.equal((await world.run(['apply', access])).code, 2);
  assert.equal((await world.run(['apply', access, '--yes'])).code, 0);
  assert.deepEqual(world.double.called('applyConfiguration').map((call) => (call.body as { base: string }).base), ['b1']);
});

test('findings carry file and line; errors keep apply from applying and end in 9', async () => {
  await using world = await signedIn({ planConfiguration: () => ({ ...plan, findings: [finding] }), lintPolicies: () => ({ findings: [finding] }) });
  const access = await accessFolder(world.folder);
  const ran = await world.run(['apply', access, '--yes']);
  assert.equal(ran.code, 9);
  assert.match(ran.stdout, /▲ error {4}orders\.yaml:12:5  there is no group "dbaa" unknown_group/);
  assert.deepEqual(world.double.called('applyConfiguration'), []);
  assert.equal((await world.run(['policy', 'lint', access])).code, 9);
  assert.equal((await world.run(['plan', join(world.folder, 'missing')])).code, 2);
});

test('policy lint of a folder sends its YAML as well, for the names; a simulation of a folder names no version', async () => {
  await using world = await signedIn({ lintPolicies: () => ({ findings: [] }), simulatePolicies: () => ({ verdict: { ...permits, policyVersion: 0 }, explanation: [] }) });
  const folder = join(world.folder, 'access');
  await mkdir(folder);
  await writeFile(join(folder, 'world.yaml'), 'groups: {}\n');
  await writeFile(join(folder, 'a.cedar'), '// none\n');
  await writeFile(join(folder, 'a.test.yaml'), 'cases: []\n');
  assert.equal((await world.run(['policy', 'lint', folder])).code, 0);
  assert.deepEqual(world.double.called('lintPolicies')[0]?.body, { sources: [{ file: 'a.cedar', text: '// none\n' }], files: [{ path: 'world.yaml', text: 'groups: {}\n' }] });
  const simulated = await world.run(['policy', 'simulate', folder, '--as', 'ana', '--action', 'request']);
  assert.match(simulated.stdout, /allowed {2}by the policies of the folder, which are not published/);
});

test('policy test and simulate send the sources, the tests and the facts', async () => {
  const cases = [{ name: 'staff may ask', file: 'policies/base.test.yaml', line: 3, passed: false, explanation: ['it was refused'] }];
  await using world = await signedIn({ testPolicies: () => ({ passed: 0, failed: 1, cases }), simulatePolicies: () => ({ verdict: refuses, explanation: ['not in staff'] }) });
  const access = await accessFolder(world.folder);
  const tested = await world.run(['policy', 'test', access]);
  assert.equal(tested.code, 9);
  assert.match(tested.stdout, /✕ staff may ask  policies\/base\.test\.yaml:3\n {4}it was refused\n0 passed, 1 failed/);
  assert.deepEqual(sent<{ sources: { file: string }[] }>(world.double.calls[0]).sources.map((each) => each.file), ['policies/base.cedar']);
  const simulate = ['policy', 'simulate', '--as', 'ana', '--action', 'request', '--entitlement', 'orders-read', '--set', 'durationSeconds=7200', '--set', 'country=SI', '--unset', 'ticket'];
  assert.equal((await world.run(simulate)).code, 3);
  assert.deepEqual(world.double.called('simulatePolicies')[0]?.body, { action: 'request', principal: 'ana', entitlement: 'orders-read', context: { durationSeconds: 7200, country: 'SI', ticket: null } });
  world.double.handlers.simulatePolicies = () => ({ verdict: permits, explanation: [] });
  assert.equal((await world.run(simulate)).code, 0);
});

test('people and workloads', async () => {
  const principal = { ...ana, administrator: false, owner: null, disabledAt: null, groups: ['staff'] };
  await using world = await signedIn({
    principals: () => page(principal), createPrincipal: () => principal, issueLink: () => ({ link: 'http://127.0.0.1:1/sign-in#bvl_x', expiresAt: '2099-01-01T00:00:00Z' }),
    enrolWorkloadKey: ({ body }) => {
      world.double.enrol('key_01jd0000000000000000000007', (body as { publicKey: string }).publicKey);
      return { key: 'key_01jd0000000000000000000007', principal: { ...ana, kind: 'workload', name: 'ci' } };
    },
    me: () => ({ ...ana, administrator: false, groups: [], owner: null, key: keyId, authentication: { method: 'key', at: '2026-11-24T12:00:00Z' } }),
  });
  assert.match((await world.run(['people', 'list'])).stdout, /ana +Ana Novak +person +enabled +staff/);
  assert.equal((await world.run(['people', 'add', 'ana', '--link'])).stdout, 'http://127.0.0.1:1/sign-in#bvl_x\n');
  const home = join(world.folder, 'ci');
  assert.equal((await world.run(['workload', 'key', 'ci', '--home', home])).code, 0);
  assert.equal((await world.run(['whoami'], { env: { BREVET_HOME: home } })).code, 0);
  assert.equal(world.double.called('me')[0]?.keyId, 'key_01jd0000000000000000000007');
  assert.equal((await world.run(['people', 'erase', 'ana'])).code, 2);
});

test('a credential comes from standard input and is never shown', async () => {
  await using world = await signedIn({ setCredential: () => ({}) });
  const ran = await world.run(['target', 'credential', 'orders'], { stdin: 'postgresql://brevet:hunter2@db/orders\n' });
  assert.deepEqual(world.double.calls.map((call) => [call.params, call.body]), [[{ name: 'orders' }, { credential: 'postgresql://brevet:hunter2@db/orders' }]]);
  assert.doesNotMatch(ran.stdout + ran.stderr, /hunter2/);
  assert.equal((await world.run(['target', 'credential', 'orders', 'hunter2'])).code, 2);
  await world.run(['target', 'credential', 'orders', '--account', 'exporter'], { stdin: 'hunter2\n' });
  assert.deepEqual(world.double.calls.at(-1)?.body, { credential: 'hunter2', account: 'exporter' });
});

test('targets show health; doctor ends in 9 when something is wrong', async () => {
  const target = { ...orders, folder: null, config: {}, hasCredential: true, retiredAt: null, entitlements: [ordersRead], health: { state: 'unreachable' as const, checkedAt: null, unreachableSince: null, problem: 'connection refused', skewMs: null, version: null } };
  await using world = await signedIn({
    targets: () => page(target),
    doctor: () => ({ version: '0.1.0', settings: { listen: '127.0.0.1:8484' }, checks: [{ name: 'store', state: 'error', message: 'full disk', hint: 'make room' }] }),
    me: () => ({ ...ana, administrator: true, groups: [], owner: null, key: keyId, authentication: { method: 'link', at: '2026-11-24T12:00:00Z' } }),
  });
  assert.match((await world.run(['targets'])).stdout, /▲ unreachable[^]*connection refused/);
  const ran = await world.run(['doctor']);
  assert.equal(ran.code, 9);
  assert.match(ran.stdout, /■ sign-in[^]*▲ store  full disk\n  make room[^]*listen +127\.0\.0\.1:8484/);
  world.double.handlers.doctor = () => {
    throw new Refused(403, 'forbidden', 'for administrators');
  };
  assert.equal((await world.run(['doctor'])).code, 0);
});
