import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiDouble, sent } from '#test/worlds/api-double.ts';
import { activeGrant, approved, entitlement, grantId, hash, page, preview, refuses, request, requestId } from '#test/worlds/api-samples.ts';
import { CliWorld } from '#test/worlds/cli-world.ts';

const ASK = ['request', 'orders-read', '--reason', 'why are invoices late?'];

async function signedIn(handlers: ApiDouble['handlers']) {
  const double = await ApiDouble.start({ previewRequest: () => preview, submitRequest: () => request, entitlements: () => page(entitlement), ...handlers });
  const world = await CliWorld.make();
  await world.signIn(double);
  return {
    double,
    run: world.run.bind(world),
    async [Symbol.asyncDispose]() {
      await double[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      assert.deepEqual(double.complaints, []);
    },
  };
}

test('before it is sent, a request says who decides; afterwards what was sent, and what is next', async () => {
  await using world = await signedIn({});
  const ran = await world.run([...ASK, '--ticket', 'OPS-114', '--for', '30m']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /people decide[^]*owners: 0 of 1 from dba; may decide: bo[^]*sent as req_/);
  assert.match(ran.stdout, new RegExp(`${requestId}  ◌ pending[^]*why are invoices late\\?[^]*${hash}[^]*brevet cancel ${requestId}`));
  assert.deepEqual(world.double.called('submitRequest')[0]?.body, { entitlement: 'orders-read', reason: 'why are invoices late?', ticket: 'OPS-114', duration: '30m' });
  assert.deepEqual(world.double.calls.map((call) => call.route), ['previewRequest', 'submitRequest']);
});

test('what policy refuses is explained and not sent', async () => {
  await using world = await signedIn({ previewRequest: () => ({ ...preview, outcome: 'refused', request: refuses, explanation: ['you are not in staff'] }) });
  const ran = await world.run(ASK);
  assert.equal(ran.code, 3);
  assert.match(ran.stdout, /policy refuses it[^]*you are not in staff/);
  assert.deepEqual(world.double.called('submitRequest'), []);
});

test('--preview sends nothing; --json is the exact answer and nothing else', async () => {
  await using world = await signedIn({});
  const ran = await world.run([...ASK, '--preview', '--json']);
  assert.deepEqual([ran.code, JSON.parse(ran.stdout), ran.stderr], [0, preview, '']);
  assert.deepEqual(world.double.called('submitRequest'), []);
});

test('--wait waits for the decision and for the access, and says what to do with it', async () => {
  await using world = await signedIn({
    request: ({ before }) => (before === 0 ? request : approved),
    grant: ({ before }) => (before === 0 ? { ...activeGrant(), state: 'activating', activatedAt: null } : activeGrant()),
  });
  const ran = await world.run([...ASK, '--wait']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /approved as grt_[^]*active, ends \d\d:\d\d CET, in 17 min/);
  assert.match(ran.stdout, new RegExp(`brevet psql ${grantId}`));
  assert.ok(world.double.called('request').every((call) => Number(call.query['waitSeconds']) > 0));
  assert.ok(!ran.stderr.includes('\u001b'), 'no live line without a terminal');
});

/** As the server tells somebody who is no administrator. */
const held = () => {
  const grant = activeGrant();
  const parts = grant.parts.map((part) => ({ ...part, state: 'planned', attempts: 3, lastError: 'target_refused: the target answers, and refuses', nextStep: 'Tell an administrator of Brevet.' }));
  return { ...grant, state: 'activating' as const, activatedAt: null, parts };
};

test('what holds up an approved access is told once while --wait waits, also with --json, and when it gives up', async () => {
  await using world = await signedIn({ request: () => approved, grant: ({ before }) => (before < 3 ? held() : activeGrant()) });
  const ran = await world.run([...ASK, '--wait', '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(ran.stderr.match(/target_refused/g)?.length, 1);
  assert.match(ran.stderr, /^▲ orders: target_refused: the target answers, and refuses\n {2}Tell an administrator of Brevet\.$/m);
  assert.equal((JSON.parse(ran.stdout) as { state: string }).state, 'active');
  await using never = await signedIn({ request: () => approved, grant: held });
  const given = await never.run([...ASK, '--wait', '--timeout', '2s']);
  assert.equal(given.code, 8);
  assert.match(given.stderr, /2 s have passed: making it real on orders; tried 3 times: target_refused: the target answers/);
});

test('a denial ends the wait with exit code 3 and the reason', async () => {
  await using world = await signedIn({ request: () => ({ ...request, state: 'denied', decisionReason: 'ask for the view instead' }) });
  const ran = await world.run([...ASK, '--wait']);
  assert.equal(ran.code, 3);
  assert.match(ran.stdout, /✕ denied[^]*ask for the view instead/);
});

test('--timeout ends the wait with exit code 8; the request stays', async () => {
  await using world = await signedIn({ request: () => request });
  const ran = await world.run([...ASK, '--wait', '--timeout', '2s', '--json']);
  assert.equal(ran.code, 8);
  assert.match((JSON.parse(ran.stderr) as { detail: string; hint: string }).hint, new RegExp(`brevet cancel ${requestId}`));
  assert.deepEqual(world.double.called('cancelRequest'), []);
});

test('Ctrl-C while waiting says that the request stays open', async () => {
  let interrupt = () => {};
  await using world = await signedIn({
    request: () => {
      interrupt();
      return new Promise(() => {});
    },
  });
  const ran = await world.run([...ASK, '--wait'], { started: (kill) => (interrupt = () => kill('SIGINT')) });
  assert.equal(ran.code, 130);
  assert.match(ran.stderr, /stopped waiting\n.*stays open/);
});

test('a start is a moment with its zone, or an offset', async () => {
  await using world = await signedIn({});
  await world.run([...ASK, '--start', '2099-12-01T23:00:00+01:00']);
  assert.equal(sent<{ startAt: string }>(world.double.called('submitRequest')[0]).startAt, '2099-12-01T22:00:00.000Z');
  for (const start of ['tomorrow', '2099-12-01T23:00', '1h', '2099-12-01']) {
    const ran = await world.run([...ASK, '--start', start]);
    assert.equal(ran.code, 2, start);
    assert.match(ran.stderr, /is not a moment/);
  }
});

test('usage errors have exit code 2, as problem JSON where asked for', async () => {
  await using world = await signedIn({});
  const missing = await world.run(['request', 'orders-read']);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /^brevet: required option '--reason <text>' not specified/);
  const json = await world.run(['request', 'orders-read', '--json']);
  assert.equal(json.code, 2);
  assert.equal((JSON.parse(json.stderr) as { code: string }).code, 'invalid_input');
  assert.match((await world.run(['requst'])).stderr, /Did you mean request\?/);
});
