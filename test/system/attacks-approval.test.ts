import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reviewRequest } from '#app/review-request.ts';
import { submitRequest } from '#app/submit-request.ts';
import type { Actor } from '#app/actor.ts';
import type { PrincipalId, RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { demoFiles } from '#main/demo/world.ts';
import { ask, changed, done, refused, review, see, told, whenTrue, workload } from '#test/worlds/asking.ts';
import { brevetWorld, type BrevetWorld, type Caller } from '#test/worlds/brevet-world.ts';

let world: BrevetWorld;
let [ada, kim, noor, lea, sam]: Caller[] = [];
const TWO_OF_THEM = 'stages:\n      - { name: team lead, groups: [order-leads], required: 2 }';

before(async () => {
  world = await brevetWorld({ brokers: 0 });
  [ada, kim, noor, lea, sam] = await Promise.all(['ada', 'kim', 'noor', 'lea', 'sam'].map((name) => world.as(name)));
});
after(() => world[Symbol.asyncDispose]());
const they = (caller: Caller | undefined): Caller => caller as Caller;

async function idOf(name: string): Promise<PrincipalId> {
  const { rows } = await world.database.pool.query<{ id: PrincipalId }>('select id from brevet.principals where name = $1', [name]);
  return rows[0]?.id as PrincipalId;
}

async function actor(name: string): Promise<Actor> {
  return { id: await idOf(name), authentication: { method: 'link', at: new Date(), phishingResistant: false, by: 'test' }, clientAddress: null };
}

test('A01 requester approves own request', async () => {
  // Kim is a reviewer of this entitlement, and asks for it.
  const mine = await ask(they(kim));
  assert.equal(mine.actions.approve.allowed, false);
  assert.ok(!mine.stages.some((stage) => stage.reviewers.includes('kim')));
  for (const decision of ['approve', 'deny']) refused(await review(they(kim), mine, { decision, reason: 'me' }), 403, 'own_request');
  const seen = await see(they(kim), mine.id);
  assert.deepEqual([seen.state, seen.reviews, seen.stages[0]?.approved], ['pending', [], 0]);
  assert.deepEqual(await told(world, { request: mine.id }), ['request.submitted', 'approval.denied_self', 'approval.denied_self']);

  // Not by the store either, whatever the code above would let through.
  await assert.rejects(
    world.database.pool.query(`insert into brevet.reviews select 'rev_' || substr(id, 5), id, hash, 0, principal_id, 'approve', null, null, '{}', now() from brevet.requests where id = $1`, [mine.id]),
    /nobody decides on their own request/,
  );
  // Nor does an approved row make a grant that nobody approved.
  await assert.rejects(
    world.database.pool.query(
      `insert into brevet.grants (id, request_id, principal_id, entitlement_id, entitlement, state, duration_seconds, created_at, start_at, activate_by)
       select 'grt_' || substr(id, 5), id, principal_id, entitlement_id, entitlement, 'scheduled', 60, now(), now(), now() from brevet.requests where id = $1`, [mine.id]),
    /is not approved/,
  );
  assert.equal(done(await review(they(noor), mine)).state, 'approved');
});

test('A02 self-approval through a second identity', async () => {
  // Kim owns a workload, and is a reviewer of what it asks for.
  const files = changed(world, 'report-bot: { name: Nightly report, owner: ada }', 'report-bot: { name: Nightly report, owner: ada }\n  kim-bot: { name: Kim on the side, owner: kim }');
  const may = 'permit (principal == Workload::"kim-bot", action == Action::"request", resource == Entitlement::"orders-write");\n';
  await world.apply(files.map((file) => (file.path.endsWith('general.cedar') ? { ...file, text: `${file.text}\n@id("kim-bot-asks")\n${may}` } : file)));
  const bot = await workload(world, 'kim-bot');
  for (const onBehalfOf of [undefined, 'kim']) {
    const reply = await bot.post<{ id: string; hash: string }>('/api/v1/requests', { entitlement: 'orders-write', reason: 'for the night', ...(onBehalfOf ? { onBehalfOf } : {}) });
    refused(await review(they(kim), done(reply) as never), 403, 'own_request');
    refused(await review(bot, reply.body as never), 403, 'forbidden');
    refused(await bot.call('POST', `/api/v1/requests/${reply.body.id}/reviews`, { decision: 'approve', hash: reply.body.hash }), 403, 'forbidden');
    assert.equal((await see(they(noor), reply.body.id)).state, 'pending');
  }
  refused(await bot.post('/api/v1/requests', { entitlement: 'orders-write', reason: 'x', onBehalfOf: 'ada' }), 403, 'forbidden');
  refused(await they(ada).post('/api/v1/requests', { entitlement: 'orders-write', reason: 'x', onBehalfOf: 'kim' }), 403, 'forbidden');
});

test('A02 group joined after the request', async () => {
  const asked = await ask(they(ada));
  refused(await review(they(lea), asked), 404, 'not_found');
  await world.apply(changed(world, 'members: [kim, noor]', 'members: [kim, noor, lea]'));
  assert.equal((await see(they(lea), asked.id)).actions.approve.allowed, false);
  refused(await review(they(lea), asked), 403, 'not_a_reviewer');
  assert.equal((await see(they(ada), asked.id)).state, 'pending');
  // The next request is hers to decide: it was the moment of joining that counted.
  const next = await ask(they(ada), { inHours: 1 });
  assert.equal(done(await review(they(lea), next)).state, 'approved');
  await world.apply(demoFiles(world.target.port));
});

test('A03 reviewer loses the group between page load and click', async () => {
  const asked = await ask(they(ada), { inHours: 1 });
  assert.equal((await see(they(kim), asked.id)).actions.approve.allowed, true);
  await world.apply(changed(world, 'members: [kim, noor]', 'members: [noor]'));
  refused(await review(they(kim), asked), 404, 'not_found');
  // Back again, but since after the request: not for this one.
  await world.apply(demoFiles(world.target.port));
  refused(await review(they(kim), asked), 403, 'not_a_reviewer');
  await assert.rejects(
    reviewRequest(world.server.app, await actor('kim'), asked.id as RequestId, { decision: 'approve', hash: asked.hash, reason: null, durationSeconds: null, scopes: null }),
    (error) => error instanceof Refusal && error.code === 'not_a_reviewer',
  );
  assert.equal((await see(they(ada), asked.id)).state, 'pending');
});

test('A03 eligibility is read inside the deciding transaction', async () => {
  for (const loses of ['the group', 'the identity'] as const) {
    const asked = await ask(they(ada), { inHours: 1 });
    const holder = await world.database.pool.connect();
    try {
      await holder.query('begin');
      await holder.query('select from brevet.requests where id = $1 for update', [asked.id]);
      // The click is under way, and waits for the request's lock; meanwhile the reviewer is reviewer no longer.
      const click = review(they(noor), asked);
      await whenTrue(world, `exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%brevet.requests%' and datname = current_database())`);
      if (loses === 'the group') await world.apply(changed(world, 'members: [kim, noor]', 'members: [kim]'));
      else done(await they(sam).post('/api/v1/principals/noor/disable'));
      await holder.query('commit');
      if (loses === 'the group') refused(await click, 403, 'not_a_reviewer');
      else refused(await click, 401, 'unauthenticated');
    } finally {
      holder.release();
      await world.apply(demoFiles(world.target.port));
    }
    assert.equal((await see(they(ada), asked.id)).state, 'pending');
  }
  done(await they(sam).post('/api/v1/principals/noor/enable'));
});

test('A04 unknown fields in any body', async () => {
  const asked = await ask(they(ada), { inHours: 1 });
  const extra = { expiresAt: '2099-01-01T00:00:00Z', status: 'approved', state: 'approved', jitSettings: {}, grantId: 'grt_00000000000000000000000000', requesterId: 'per_00000000000000000000000000', principal: 'kim', policyVersion: 1 };
  for (const [name, value] of Object.entries(extra)) {
    const one = { [name]: value };
    refused(await they(ada).post('/api/v1/requests', { entitlement: 'orders-write', reason: 'r', ...one }), 400, 'invalid_input');
    refused(await they(ada).post('/api/v1/requests/preview', { entitlement: 'orders-write', reason: 'r', ...one }), 400, 'invalid_input');
    refused(await review(they(noor), asked, one), 400, 'invalid_input');
    refused(await they(sam).post('/api/v1/principals', { kind: 'person', name: `new-${name.toLowerCase()}`, displayName: 'N', ...one }), 400, 'invalid_input');
    refused(await they(ada).get(`/api/v1/requests?${name}=x`), 400, 'invalid_input');
  }
  assert.equal((await see(they(ada), asked.id)).state, 'pending');
});

test('A04 mutate after approval', async () => {
  const asked = await ask(they(ada), { inHours: 1 });
  const pending = await ask(they(ada), { inHours: 1 });
  done(await review(they(noor), asked));
  const changes = ["duration_seconds = 3600", "reason = 'other'", "ticket = 'T'", "principal_id = (select id from brevet.principals where name = 'kim')", "start_at = now()", "expires_at = now() + interval '9 days'",
    "entitlement = jsonb_set(entitlement, '{parts,0,scope,verbs}', '[\"delete\"]')", "hash = repeat('0', 64)", "policy_version = policy_version + 0, verdict = '{}'", "on_behalf_of_id = principal_id", "created_at = created_at - interval '1 day'", "entitlement_id = (select id from brevet.entitlements where name = 'orders-read')"];
  for (const change of changes) {
    for (const { id } of [asked, pending]) await assert.rejects(world.database.pool.query(`update brevet.requests set ${change} where id = $1`, [id]), /immutable|already approved/, change);
  }
  await assert.rejects(world.database.pool.query(`update brevet.requests set state = 'pending', decided_at = null where id = $1`, [asked.id]), /already approved/);
  await assert.rejects(world.database.pool.query('delete from brevet.requests where id = $1', [asked.id]), /stays/);
  await assert.rejects(world.database.pool.query(`update brevet.reviews set narrowed = '{"durationSeconds":9999}' where request_id = $1`, [asked.id]), /final/);
  refused(await they(ada).call('PUT', `/api/v1/requests/${asked.id}`, { duration: 3600 }), 404, 'not_found');
  refused(await they(ada).call('DELETE', `/api/v1/requests/${asked.id}`), 404, 'not_found');
});

test('A04 the hash is that of what is stored, or nothing is approved', async () => {
  const asked = await ask(they(ada), { inHours: 1, duration: 60 });
  refused(await review(they(noor), { ...asked, hash: '0'.repeat(64) }), 409, 'stale_hash');
  refused(await review(they(noor), { ...asked, hash: asked.hash.toUpperCase() }), 400, 'invalid_input');
  // Somebody with the database in hand turns the triggers off and widens what was asked, under the hash of before.
  await world.database.pool.query('alter table brevet.requests disable trigger user');
  await world.database.pool.query('update brevet.requests set duration_seconds = 3600 where id = $1', [asked.id]);
  await world.database.pool.query('alter table brevet.requests enable trigger user');
  refused(await review(they(noor), asked), 409, 'stale_hash');
  assert.equal((await see(they(ada), asked.id)).state, 'pending');
});

test('A05 same approver counted twice', async () => {
  await world.apply(changed(world, /stages:\n {6}- \{ name: team lead, groups: \[order-leads\], required: 1 \}/, TWO_OF_THEM));
  for (let round = 0; round < 5; round++) {
    const asked = await ask(they(ada), { inHours: 1 });
    const clicks = await Promise.all(Array.from({ length: 6 }, () => review(they(kim), asked)));
    assert.deepEqual(clicks.map((click) => click.status).sort(), [200, 409, 409, 409, 409, 409]);
    for (const click of clicks.filter((one) => one.status === 409)) refused(click, 409, 'already_reviewed');
    const seen = await see(they(ada), asked.id);
    assert.deepEqual([seen.state, seen.stages[0]?.approved, seen.grant], ['pending', 1, null]);
    assert.equal(done(await review(they(noor), asked)).state, 'approved');
  }
  // Two of two at the same moment: neither overlooks the other, and there is one grant.
  for (let round = 0; round < 5; round++) {
    const asked = await ask(they(ada), { inHours: 1 });
    for (const reply of await Promise.all([review(they(kim), asked), review(they(noor), asked)])) done(reply);
    assert.equal(await oneEnd(asked.id), 'approved');
  }
  await world.apply(demoFiles(world.target.port));
  const kept = await they(ada).get<{ items: { id: string }[] }>('/api/v1/requests?state=pending&limit=100');
  for (const one of kept.body.items) done(await they(ada).post(`/api/v1/requests/${one.id}/cancel`));
});

test('A05 approve, deny and cancel race: one end, one grant at most', async () => {
  const ends = new Map<string, number>();
  for (let round = 0; round < 16; round++) {
    const asked = await ask(they(ada), { inHours: 1 });
    const moves = [
      () => review(they(kim), asked),
      () => review(they(noor), asked, { decision: 'deny', reason: 'not today' }),
      // It has the shortest way, and starts a little later in each round.
      () => sleep(round * 2).then(() => they(ada).post(`/api/v1/requests/${asked.id}/cancel`)),
      () => review(they(kim), asked),
    ];
    const turned = [...moves.slice(round % 4), ...moves.slice(0, round % 4)];
    const replies = await Promise.all(turned.map((move) => move()));
    assert.equal(replies.filter((reply) => reply.status === 200).length, 1, JSON.stringify(replies.map((reply) => reply.body)));
    const state = await oneEnd(asked.id);
    ends.set(state, (ends.get(state) ?? 0) + 1);
    const denied = turned.findIndex((move) => move === moves[1]);
    if (replies[denied]?.status === 200) assert.equal(state, 'denied');
  }
  assert.ok(ends.size > 1, `the race was none: ${JSON.stringify([...ends])}`);
});

test('A05 approve and expire race', async () => {
  const brief = { ...world.server.app, limits: { ...world.server.app.limits, requestTtlSeconds: 0.25 } };
  for (let round = 0; round < 8; round++) {
    const asked = await submitRequest(brief, await actor('ada'), { entitlement: 'orders-write', reason: 'brief', ticket: null, duration: null, startAt: new Date(Date.now() + 3_600_000), onBehalfOf: null, extends: null });
    await new Promise((resolve) => setTimeout(resolve, 215 + round * 10));
    await Promise.all([review(they(noor), asked), review(they(kim), asked), they(ada).post(`/api/v1/requests/${asked.id}/cancel`)]);
    await whenTrue(world, `(select state <> 'pending' from brevet.requests where id = $1)`, [asked.id]);
    await oneEnd(asked.id);
  }
});

/** Exactly one end in the store and in the log, and a grant if and only if it was approved. */
async function oneEnd(id: string): Promise<string> {
  const { rows } = await world.database.pool.query<{ state: string; grants: number; ends: string[] }>(
    `select state, (select count(*)::int from brevet.grants where request_id = r.id) as grants,
       (select array_agg(type) from brevet.log_entries where request_id = r.id and type in ('request.approved', 'request.denied', 'request.cancelled', 'request.expired')) as ends
       from brevet.requests r where id = $1`, [id]);
  const [row] = rows;
  assert.ok(row);
  assert.deepEqual(row.ends, [`request.${row.state}`]);
  assert.equal(row.grants, row.state === 'approved' ? 1 : 0);
  return row.state;
}

test('A06 replay an approval on another request, and after its end', async () => {
  const [first, second] = [await ask(they(ada), { inHours: 1 }), await ask(they(ada), { inHours: 1 })];
  done(await review(they(noor), first));
  refused(await review(they(noor), { id: second.id, hash: first.hash }), 409, 'stale_hash');
  refused(await review(they(noor), first), 409, 'wrong_state');
  done(await review(they(noor), second, { decision: 'deny', reason: 'no' }));
  refused(await review(they(kim), second), 409, 'wrong_state');
  refused(await review(they(noor), second), 409, 'wrong_state');
  assert.equal((await see(they(ada), second.id)).grant, null);
});
