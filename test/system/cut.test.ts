/** At the deadline and at every earlier end: open sessions are cut through the whole of Brevet, and the access is read back as gone. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setTargetSecret } from '#app/target-access.ts';
import type { SourceFile } from '#app/configuration/read-files.ts';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { approve, ask, envFor, eventually, hold, must, psql, storyOf, strangers } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';

const STAGE = 'stages: [{ name: team lead, groups: [order-leads], required: 1 }]';
const desk = (more: string) => `{ title: A desk, folder: shop, maximum: 1h, ${STAGE}, ${more}, parts: [{ target: orders, kind: ephemeral_account,
      scope: { database: orders, verbs: [select, insert, update], tables: [shop.orders], roles: [shop_operator], connectionLimit: 20 } }] }`;
const MORE = `entitlements:
  desk: ${desk('end: cut')}
  desk-warned: ${desk('end: warn_then_cut, warn: 6s')}
  desk-closing: ${desk('end: no_new_sessions, warn: 5s')}
`;

/** The demonstration's world with one more developer, who holds nothing while others do. */
const filesOf = (port: number): readonly SourceFile[] => [
  ...demoFiles(port).map(({ path, text }) => ({ path, text: text.replace('members: [ada, kim]', 'members: [ada, kim, wim]').replace('people:\n', 'people:\n  wim: { name: Wim Peeters }\n') })),
  { path: 'more.yaml', text: MORE },
];

let world: BrevetWorld;
async function open(): Promise<void> {
  world = await brevetWorld({ files: filesOf });
  await world.target.query("alter role ada password 'of-her-own'");
  await world.server.app.store.transaction(async (tx) => {
    const target = await tx.catalogue.targetByName('orders');
    if (target) await setTargetSecret(world.server.app, tx, target.id, 'ada', 'of-her-own');
  });
}

/** psql at work: with `input` it stays at its prompt. */
/** Those still there when a test failed would keep this file's process alive. */
const children = new Set<ChildProcess>();

function work(env: Record<string, string>, args: readonly string[], input: string | null): { child: ChildProcess; said: () => string } {
  const child = spawn('psql', ['-X', ...args], { env, stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (bytes) => (said += bytes));
  child.stdout?.on('data', (bytes) => (said += said.length < 1000 ? bytes : ''));
  child.stdin?.on('error', () => undefined);
  if (input !== null) child.stdin?.write(input);
  children.add(child);
  return { child, said: () => said };
}

const WORK: Readonly<Record<string, readonly [readonly string[], string | null]>> = {
  'a running query': [['-c', 'select pg_sleep(60)'], null],
  'an idle session': [[], 'select 1;\n'],
  'an open transaction': [[], "begin; update shop.orders set state = 'held' where id = 1;\n"],
  'COPY out': [['-c', "copy (select repeat('x', 900) from generate_series(1, 2000000000)) to stdout"], null],
  'COPY in': [[], "copy shop.orders from stdin;\n900001\t1\t2026-01-01\theld\n"],
  'SET ROLE': [[], "set role shop_operator; select pg_sleep(60) from shop.payment_cards;\n"],
};

describe('cut', { concurrency: 4 }, () => {
  before(open);
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await world[Symbol.asyncDispose]();
  });

  test('B03 B04 at the deadline: every kind of session, within two seconds, with the reason; the role is gone', async (t) => {
    const grant = await world.grant('ada', 'desk', { seconds: 14, approvers: ['kim'] });
    const object = grant.parts[0]?.object ?? '';
    const env = await envFor(world, 'ada', grant.id);
    const running = Object.entries(WORK).map(([name, [args, input]]) => ({ name, input, ...work(env, args, input) }));
    const driver = await hold(env);
    let queries = 0;
    const pipeline = (async () => {
      for (;;) queries += (await driver.client.query({ name: 'one', text: 'select $1::int', values: [1] })).rows.length;
    })().catch((error: Error) => error.message);
    await eventually('seven sessions', 10_000, async () => (await strangers(world, [object])) === 7);

    const deadline = Date.parse(grant.deadline ?? '');
    await sleep(deadline - Date.now() - 1000);
    assert.equal(await strangers(world, [object]), 7, 'all live until the deadline');
    await eventually('no session', 5_000, async () => (await strangers(world, [object])) === 0);
    const late = Date.now() - deadline;
    t.diagnostic(`the last session was gone ${late} ms after the deadline`);
    assert.ok(late < 2000, `the last session was gone ${late} ms after the deadline`);
    for (const { name, child, said, input } of running) {
      // An idle psql hears of it when it next speaks.
      if (input !== null && child.exitCode === null) child.stdin?.end('\\.\nselect 1;\n');
      if (child.exitCode === null) await once(child, 'close');
      // In the middle of a message to the client there is no place for words.
      if (name !== 'COPY out') assert.match(said(), /Brevet: this access ended at \S+Z: the granted time is over/, name);
    }
    assert.match(String(await pipeline), /granted time is over|terminat|closed|not queryable/);
    assert.ok(queries > 10);

    const ended = await world.until('ada', grant.id, 'ended');
    assert.equal(ended.endReason, 'expired');
    assert.equal(ended.overdueAt, null);
    assert.equal(ended.parts[0]?.evidence?.['found'], true, 'the role was found, and then not');
    assert.ok(!(await world.roles()).includes(object));
    const { rows } = await world.target.query("select (select state from shop.orders where id = 1) as state, (select count(*)::int from shop.orders) as n", [], 'orders');
    assert.notEqual(rows[0].state, 'held', 'the open transaction was rolled back');
    assert.equal(rows[0].n, 5000);
    const sessions = await must((await world.as('sam')).get<Answer<'sessions'>>(`/api/v1/sessions?view=all&grant=${grant.id}`));
    assert.deepEqual([...new Set(sessions.items.map((s) => s.endReason))], ['deadline']);
  });

  test('an elevation ends with its sessions, and the account is exactly what it was before', async () => {
    const state = async () => (await world.target.query(
      `select (select array_agg(r.rolname::text order by 1) from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member where u.rolname = 'ada') as roles,
         (select array_agg(format('%s %s', table_name, privilege_type) order by 1) from information_schema.table_privileges where grantee = 'ada') as tables,
         (select row_to_json(a)::text from pg_authid a where rolname = 'ada') as account`, [], 'orders')).rows[0] as { roles: string[] | null };
    const prior = await state();
    const grant = await world.grant('ada', 'orders-admin', { seconds: 8, approvers: ['kim', 'ines'] });
    assert.deepEqual((await state()).roles, [grant.parts[0]?.object]);
    const env = await envFor(world, 'ada', grant.id);
    assert.equal(await psql(env, 'select count(*) from shop.payment_cards'), '400');
    const held = await hold(env);
    await held.client.query('set role shop_operator');
    const lost = await held.lost;
    assert.match(lost.message, /granted time is over/);
    await world.until('ada', grant.id, 'ended');
    assert.equal(await strangers(world, ['ada']), 0);
    assert.deepEqual(await state(), prior);
  });

  test('warn, then cut: exactly one warning, at its time', async () => {
    const grant = await world.grant('ines', 'desk-warned', { seconds: 13, approvers: ['kim'] });
    const held = await hold(await envFor(world, 'ines', grant.id));
    const deadline = Date.parse(grant.deadline ?? '');
    await sleep(deadline - Date.now() - 6600);
    assert.deepEqual(held.notices, []);
    await sleep(deadline - Date.now() - 5000);
    assert.match(held.notices[0] ?? '', /will be cut in [56] seconds/);
    await held.lost;
    assert.equal(held.notices.length, 1, 'a renewal of the lease is no reason to warn again');
  });

  test('no new sessions in the last seconds; the old one lives to the deadline', async () => {
    const grant = await world.grant('kim', 'desk-closing', { seconds: 11, approvers: ['noor'] });
    const env = await envFor(world, 'kim', grant.id);
    const held = await hold(env);
    const deadline = Date.parse(grant.deadline ?? '');
    await sleep(deadline - Date.now() - 4500);
    await assert.rejects(psql(env, 'select 1'), /about to end and takes no new sessions/);
    assert.equal((await held.client.query('select 1 as n')).rows[0].n, 1);
    const { message } = await held.lost;
    assert.match(message, /granted time is over/);
    assert.ok(Math.abs(Date.now() - deadline) < 2000);
    assert.deepEqual(held.notices, []);
  });

  test('an extension moves the deadline of the open session and of the target', async () => {
    const kim = await world.as('kim');
    const grant = await world.grant('kim', 'desk', { seconds: 8, approvers: ['noor'] });
    const object = grant.parts[0]?.object ?? '';
    const held = await hold(await envFor(world, 'kim', grant.id));
    const extension = await must(kim.post<Answer<'extendGrant'>>(`/api/v1/grants/${grant.id}/extend`, { duration: 7, reason: 'not done yet' }));
    await approve(await world.as('noor'), extension);
    const before = Date.parse(grant.deadline ?? '');
    const moved = await eventually('VALID UNTIL on the target', 5000, async () => {
      const { rows } = await world.target.query('select rolvaliduntil from pg_roles where rolname = $1', [object]);
      return (rows[0] as { rolvaliduntil: Date }).rolvaliduntil.getTime() === before + 7000;
    });
    assert.ok(moved);
    await sleep(before - Date.now() + 1500);
    assert.equal((await held.client.query('select 1 as n')).rows[0].n, 1, 'it lives past the first deadline');
    await held.lost;
    const late = Date.now() - before - 7000;
    assert.ok(late > -1000 && late < 2000, `cut ${late} ms after the new deadline`);
    await world.until('kim', grant.id, 'ended');
    const story = await storyOf(world, grant.id);
    for (const once of ['grant.extended', 'grant.part_present', 'grant.part_extended', 'grant.part_absent']) assert.equal(story.filter((type) => type === once).length, 1, once);
  });

  const ENDS: Readonly<Record<string, { readonly who: string; readonly says: RegExp; readonly end: (grant: Answer<'grant'>, session: string) => Promise<unknown>; readonly reason: string | null }>> = {
    'a reviewer revokes': { who: 'ada', says: /the access was taken back/, reason: 'revoked', end: async (grant) => (await world.as('noor')).post(`/api/v1/grants/${grant.id}/revoke`, { reason: 'not today' }) },
    'an administrator revokes': { who: 'kim', says: /the access was taken back/, reason: 'revoked', end: async (grant) => (await world.as('sam')).post(`/api/v1/grants/${grant.id}/revoke`, { reason: 'not today' }) },
    'its holder finishes': { who: 'ada', says: /the access was taken back/, reason: 'completed', end: async (grant) => (await world.as('ada')).post(`/api/v1/grants/${grant.id}/finish`) },
    'an administrator ends the session': { who: 'kim', says: /an administrator ended this session/, reason: null, end: async (_, session) => (await world.as('sam')).post(`/api/v1/sessions/${session}/end`) },
    'all sessions of the person are ended': { who: 'ines', says: /an administrator ended this session/, reason: null, end: async () => (await world.as('sam')).post('/api/v1/sessions/end', { person: 'ines' }) },
    'everything of the person is revoked': { who: 'ines', says: /the access was taken back/, reason: 'revoked', end: async () => (await world.as('sam')).post('/api/v1/principals/ines/revoke', { reason: 'left' }) },
    'the person is disabled': { who: 'ines', says: /this identity was disabled/, reason: 'identity_disabled', end: async () => (await world.as('sam')).post('/api/v1/principals/ines/disable') },
  };
  test('whoever ends it, the live session dies within about a second', async (t) => {
    for (const [name, { who, says, reason, end }] of Object.entries(ENDS)) {
      const grant = await world.grant(who, 'desk', { seconds: 120, approvers: [who === 'kim' ? 'noor' : 'kim'] });
      const object = grant.parts[0]?.object ?? '';
      const held = await hold(await envFor(world, who, grant.id));
      const sleeping = held.client.query('select pg_sleep(60)').catch((error: Error) => error.message);
      const { items } = await must((await world.as(who)).get<Answer<'sessions'>>(`/api/v1/sessions?grant=${grant.id}&live=true`));
      const asked = performance.now();
      const reply = (await end(grant, items[0]?.id ?? '')) as { status: number };
      assert.equal(reply.status, 200, name);
      const said = await Promise.race([sleeping, held.lost.then(({ message }) => message)]);
      const ms = Math.round(performance.now() - asked);
      t.diagnostic(`${name}: ${ms} ms`);
      assert.match(String(said), says, name);
      assert.ok(ms < 3000, `${name}: ${ms} ms`);
      await eventually('no session on the target', 2000, async () => (await strangers(world, [object])) === 0);
      const standing = await must((await world.as('sam')).get<Answer<'grant'>>(`/api/v1/grants/${grant.id}`));
      if (reason === null) {
        assert.equal(standing.state, 'active', `${name}: the grant itself lives on`);
        await must((await world.as(who)).post(`/api/v1/grants/${grant.id}/finish`));
        continue;
      }
      const ended = await world.until('sam', grant.id, 'ended');
      assert.equal(ended.endReason, reason, name);
      assert.ok(!(await world.roles()).includes(object));
    }
  });

  test('waiting in place: the connection asks, waits for the approval, and goes through', async () => {
    const env = { ...(await world.clientEnv('wim')), PGOPTIONS: '-c brevet.wait=30s -c brevet.request=orders-write -c brevet.reason=in\\ a\\ hurry' };
    const { child, said } = work(env, ['-Atc', 'select count(*) from shop.orders'], null);
    const noor = await world.as('noor');
    const request = await eventually(`the request (${said()})`, 10_000, async () => (await must(noor.get<Answer<'requests'>>('/api/v1/requests?view=inbox'))).items.find((r) => r.reason === 'in a hurry'));
    await sleep(1200);
    assert.equal(child.exitCode, null, 'it waits');
    await approve(noor, request);
    await once(child, 'close');
    assert.equal(child.exitCode, 0, said());
    assert.match(said(), /waiting up to 30 seconds for the approval of "orders-write"/);
    assert.match(said(), /^5000$/m);
    const asked = await must((await world.as('wim')).get<Answer<'request'>>(`/api/v1/requests/${request.id}`));
    await must((await world.as('wim')).post(`/api/v1/grants/${asked.grant}/finish`));
  });

  test('a start in the future: nothing before, active on time', async () => {
    const kim = await world.as('kim');
    const startAt = new Date(Date.now() + 4000).toISOString();
    const request = await approve(await world.as('noor'), await ask(kim, 'desk', { startAt, duration: 30 }));
    const early = await must(kim.get<Answer<'grant'>>(`/api/v1/grants/${request.grant}`));
    assert.equal(early.state, 'scheduled');
    assert.ok(!(await world.roles()).includes(early.parts[0]?.object ?? ''));
    await assert.rejects(psql(await envFor(world, 'kim', early.id), 'select 1'), /no active grant/);
    const active = await world.until('kim', early.id, 'active');
    const late = Date.parse(active.activatedAt ?? '') - Date.parse(startAt);
    assert.ok(late >= 0 && late < 2000, `active ${late} ms after its start`);
    assert.ok(Math.abs(Date.parse(active.deadline ?? '') - Date.parse(active.activatedAt ?? '') - 30_000) < 1000, 'the clock starts with it');
    await must(kim.post(`/api/v1/grants/${early.id}/finish`));
    await world.until('kim', early.id, 'ended');
  });

  test('what the reviewer narrowed and shortened is what the target enforces', async () => {
    const kim = await world.as('kim');
    const narrow = { database: 'orders', verbs: ['select'], tables: ['shop.order_lines'] };
    const request = await approve(await world.as('noor'), await ask(kim, 'orders-write', { duration: 600 }), { duration: 20, scopes: { 0: narrow } });
    const grant = await world.until('kim', request.grant ?? '', 'active');
    const left = Date.parse(grant.deadline ?? '') - Date.parse(grant.activatedAt ?? '');
    assert.ok(Math.abs(left - 20_000) < 2000, `${left} ms`);
    const { rows } = await world.target.query('select rolvaliduntil from pg_roles where rolname = $1', [grant.parts[0]?.object]);
    assert.equal((rows[0] as { rolvaliduntil: Date }).rolvaliduntil.toISOString(), grant.deadline);
    const env = await envFor(world, 'kim', grant.id);
    assert.equal(await psql(env, 'select count(*) from shop.order_lines'), '15000');
    await assert.rejects(psql(env, 'select count(*) from shop.orders'), /permission denied for table orders/);
    await assert.rejects(psql(env, 'begin read write; update shop.order_lines set quantity = 1 where order_id = 1'), /permission denied for table order_lines/);
    const wider = await ask(kim, 'orders-write');
    const reply = await (await world.as('noor')).post(`/api/v1/requests/${wider.id}/reviews`, { decision: 'approve', hash: wider.hash, scopes: { 0: { database: 'orders', verbs: ['delete'], tables: ['shop.orders'] } } });
    assert.ok(reply.problem, 'a reviewer can narrow, not widen');
    await must(kim.post(`/api/v1/grants/${grant.id}/finish`));
  });
});

test('everything on a target is revoked at once: sessions of all people die, nothing of Brevet\'s is left', async () => {
  await using other = await brevetWorld();
  const grants = [await other.grant('ada', 'orders-write', { approvers: ['kim'] }), await other.grant('kim', 'orders-write', { approvers: ['noor'] })];
  const held = await Promise.all(grants.map(async (grant) => hold(await envFor(other, grant.principal.name, grant.id))));
  const asked = performance.now();
  const sam = await other.as('sam');
  assert.deepEqual((await must(sam.post<Answer<'endSessions'>>('/api/v1/sessions/end', { target: 'orders' }))).sessions, 2);
  for (const { lost } of held) assert.ok((await lost).at - asked < 1500);
  const again = await hold(await envFor(other, 'ada', grants[0]?.id));
  const revoked = performance.now();
  const taken = await must(sam.post<Answer<'revokeOnTarget'>>('/api/v1/targets/orders/revoke', { reason: 'an incident' }));
  assert.deepEqual([...taken.grants].sort(), grants.map(({ id }) => id).sort());
  assert.ok((await again.lost).at - revoked < 1500);
  for (const grant of grants) await other.until('sam', grant.id, 'ended');
  assert.deepEqual(await other.roles(), []);
});
