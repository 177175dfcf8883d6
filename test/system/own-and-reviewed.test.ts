/** Lists show what one may see and end: of one's workloads, for oneself, and as a reviewer. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '#contract/routes.ts';
import { ask, changed, done, refused, review, workload } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
let [ada, noor, lea, sam]: Caller[] = [];
let bot: Caller | undefined;
const they = (caller: Caller | undefined): Caller => caller as Caller;

before(async () => {
  world = await brevetWorld({ brokers: 0 });
  [ada, noor, lea, sam] = await Promise.all(['ada', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
  bot = await workload(world);
});
after(() => world[Symbol.asyncDispose]());

const requestsOf = async (caller: Caller) => done(await caller.get<Answer<'requests'>>('/api/v1/requests?limit=100')).items.map((one) => one.id);
const grantsOf = async (caller: Caller, view: string) => done(await caller.get<Answer<'grants'>>(`/api/v1/grants?view=${view}&limit=100`)).items.map((one) => one.id);

test("an owner's lists hold what their workloads asked for, in their own name and on the owner's behalf", async () => {
  const own = await ask(they(bot), { entitlement: 'orders-read', duration: '5m', inHours: 1 });
  const behalf = done(await they(bot).post<Answer<'submitRequest'>>('/api/v1/requests', { entitlement: 'orders-read', reason: 'for ada', duration: '5m', onBehalfOf: 'ada', ticket: 'T-1', startAt: new Date(Date.now() + 3_600_000).toISOString() }));
  for (const one of [own, behalf]) {
    assert.ok(one.grant, 'policy approves it');
    assert.ok((await requestsOf(they(ada))).includes(one.id));
    assert.ok((await grantsOf(they(ada), 'mine')).includes(one.grant));
    assert.ok(!(await requestsOf(they(lea))).includes(one.id));
    assert.ok(!(await grantsOf(they(lea), 'mine')).includes(one.grant));
  }
  done(await they(ada).post(`/api/v1/grants/${own.grant}/finish`));
});

test('an owner withdraws what a workload of theirs asks for, and nobody else does', async () => {
  await world.apply(changed(world, 'action in [Action::"request", Action::"autoApprove"],\n  resource == Entitlement::"orders-read"', 'action == Action::"request",\n  resource == Entitlement::"orders-read"'));
  const pending = await ask(they(bot), { entitlement: 'orders-read', duration: '5m', inHours: 1 });
  assert.equal(pending.state, 'pending');
  refused(await they(lea).post(`/api/v1/requests/${pending.id}/cancel`), 404, 'not_found');
  refused(await they(noor).post(`/api/v1/requests/${pending.id}/cancel`), 404, 'not_found');
  const seen = done(await they(ada).get<Answer<'request'>>(`/api/v1/requests/${pending.id}`));
  assert.deepEqual(seen.actions.cancel, { allowed: true, reason: null });
  assert.equal(done(await they(ada).post<Answer<'request'>>(`/api/v1/requests/${pending.id}/cancel`)).state, 'cancelled');
});

test('a reviewer lists the live grants that they may revoke, and others do not', async () => {
  const asked = await ask(they(ada), { inHours: 1 });
  const { grant } = done(await review(they(noor), asked));
  assert.ok(grant);
  assert.ok((await grantsOf(they(noor), 'reviewed')).includes(grant));
  assert.ok(!(await grantsOf(they(noor), 'mine')).includes(grant));
  for (const other of [ada, lea, sam]) assert.deepEqual(await grantsOf(they(other), 'reviewed'), []);
  done(await they(noor).post(`/api/v1/grants/${grant}/revoke`, { reason: 'no more' }));
  await world.until('noor', grant, 'ended');
  assert.ok(!(await grantsOf(they(noor), 'reviewed')).includes(grant));
});

test('what a policy asks of the sign-in is what happened: a link here', async () => {
  assert.equal(done(await they(ada).get<Answer<'me'>>('/api/v1/me')).authentication.method, 'link');
  assert.equal(done(await they(bot).get<Answer<'me'>>('/api/v1/me')).authentication.method, 'administrator');
  await world.apply(changed(world, 'when { context.requester == principal.name };', 'when { context.requester == principal.name };\n\n@id("no-links")\n@reason("whoever decides has a password")\nforbid (principal, action == Action::"review", resource)\nwhen { context has authentication && context.authentication.method == "link" };'));
  const asked = await ask(they(ada), { inHours: 1 });
  refused(await review(they(noor), asked), 403, 'policy_denied');
});
