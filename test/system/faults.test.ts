/** Targets that are down, hang or were changed behind Brevet's back; workers that wake up too late; two servers at once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAttempt, type Attempt } from '#app/reconcile/attempt.ts';
import { provisionPart } from '#app/reconcile/provision-part.ts';
import { reachOf } from '#app/reconcile/reach.ts';
import { sweepTarget } from '#app/reconcile/sweep-target.ts';
import { setTargetSecret } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { fillSampleDatabase } from '#main/demo/sample-database.ts';
import { demoFiles } from '#main/demo/world.ts';
import { approve, ask, envFor, eventually, hold, must, psql, storyOf, strangers } from '#test/worlds/brevet-steps.ts';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { tarpit, type Tarpit } from '#test/worlds/tarpit.ts';

type Grant = Answer<'grant'>;

/** A target beside `orders`, and what may be asked for on it. */
const besides = (name: string, port: number) => [
  { path: `${name}.yaml`, text: `targets:
  ${name}: { type: postgresql, folder: shop, config: { host: 127.0.0.1, port: ${port}, database: orders, user: brevet_admin, tls: disable } }
entitlements:
  use-${name}: { title: Use ${name}, folder: shop, maximum: 1h, parts: [{ target: ${name}, kind: ephemeral_account,
      scope: { database: orders, verbs: [select], tables: [shop.orders] } }], stages: [{ name: team lead, groups: [order-leads], required: 1 }] }
` },
  { path: `${name}.cedar`, text: `@id("use-${name}")
@reason("for the test")
permit (principal in Group::"developers", action in [Action::"request", Action::"autoApprove"], resource in Target::"${name}");
` },
];

describe('a target that is down or hangs', () => {
  let world: BrevetWorld;
  let other: TestServer;
  const pits: Tarpit[] = [];
  before(async () => {
    other = await startTestServer();
    for (let i = 0; i < 3; i++) pits.push(await tarpit(other.port));
    await fillSampleDatabase({ host: other.host, port: other.port, user: other.user, password: other.password }, 'of-the-other');
    const files = (port: number) => [...demoFiles(port), ...besides('second', other.port), ...pits.flatMap((pit, i) => besides(`pit${i}`, pit.port))];
    world = await brevetWorld({ files });
    await world.server.app.store.transaction(async (tx) => {
      for (const { id, name } of await tx.catalogue.targets()) if (name !== 'orders') await setTargetSecret(world.server.app, tx, id, null, 'of-the-other');
    });
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
    for (const pit of pits) await pit[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  const overdueOf = async () => (await must((await world.as('sam')).get<Answer<'grants'>>('/api/v1/grants?view=all&overdue=true'))).items.map(({ id }) => id);
  const metric = async (name: string) => {
    const text = String((await world.anonymous('GET', '/metrics')).body);
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  /** The outage covers the deadline; answers how long after `back` the removal was proven. */
  async function outage(grant: Grant, breakIt: () => Promise<void>, mend: () => Promise<void>): Promise<number> {
    await breakIt();
    await sleep(Date.parse(grant.deadline ?? '') - Date.now());
    await eventually('it shows as overdue', 9_000, async () => (await overdueOf()).includes(grant.id));
    assert.equal(await metric('brevet_removals_overdue'), 1);
    assert.equal(await metric('brevet_targets_unreachable'), 1);
    assert.match((await must((await world.as('ada')).get<Grant>(`/api/v1/grants/${grant.id}`))).parts[0]?.lastError ?? '', /^target_unreachable/);
    await sleep(4000);
    assert.equal((await must((await world.as('ada')).get<Grant>(`/api/v1/grants/${grant.id}`))).state, 'revoking', 'nobody calls it done');
    await mend();
    const back = performance.now();
    const ended = await world.until('ada', grant.id, 'ended', 15_000);
    const took = performance.now() - back;
    assert.notEqual(ended.overdueAt, null, 'that it was late stays on record');
    assert.deepEqual(await world.roles(), []);
    const story = await storyOf(world, grant.id);
    assert.equal(story.filter((type) => type === 'grant.overdue').length, 1);
    assert.equal(story.filter((type) => type === 'grant.ended').length, 1);
    assert.equal(await metric('brevet_removals_overdue'), 0);
    assert.deepEqual(await overdueOf(), []);
    return took;
  }

  test('B09 down at the deadline: overdue for all to see, gone within ten seconds of its return', async (t) => {
    const grant = await world.grant('ada', 'orders-write', { seconds: 3, approvers: ['kim'] });
    const took = await outage(grant, () => world.target.stop(), () => world.target.start());
    t.diagnostic(`gone ${Math.round(took)} ms after its return`);
    assert.ok(took < 10_000, `${took} ms`);
  });

  test('B09 hanging at the deadline, with a session open: the session is cut on time, the removal follows', async (t) => {
    const grant = await world.grant('ada', 'orders-write', { seconds: 4, approvers: ['kim'] });
    const held = await hold(await envFor(world, 'ada', grant.id));
    const lost = held.lost.then(() => Date.now());
    const took = await outage(grant, () => world.target.pause(), () => world.target.resume());
    t.diagnostic(`gone ${Math.round(took)} ms after it went on`);
    assert.ok(took < 10_000, `${took} ms`);
    const late = (await lost) - Date.parse(grant.deadline ?? '');
    assert.ok(late < 2000, `the session was cut ${late} ms after the deadline though the target hung`);
    assert.equal(await strangers(world, [grant.parts[0]?.object ?? '']), 0);
  });

  test('B11 three targets hang with many removals due: another target\'s removal is not delayed', async (t) => {
    const ada = await world.as('ada');
    const asked = await Promise.all(pits.flatMap((_, i) => Array.from({ length: 7 }, () => ask(ada, `use-pit${i}`, { duration: 600 }))));
    const kims = await ask(await world.as('kim'), 'use-second', { duration: 600 });
    const stuck = await Promise.all(asked.map((request) => world.until('ada', request.grant ?? '', 'active', 30_000)));
    const free = await world.until('kim', kims.grant ?? '', 'active');
    for (const pit of pits) pit.freeze();
    const sam = await world.as('sam');
    for (const i of pits.keys()) await must(sam.post(`/api/v1/targets/pit${i}/revoke`, { reason: 'an incident' }));
    await sleep(300);
    const started = performance.now();
    await must(sam.post(`/api/v1/grants/${free.id}/revoke`, { reason: 'an incident' }));
    await world.until('kim', free.id, 'ended');
    const took = performance.now() - started;
    t.diagnostic(`proven gone in ${Math.round(took)} ms beside ${stuck.length} that hang`);
    assert.ok(took < 3500, `${took} ms`);
    assert.equal((await world.anonymous('GET', '/readyz')).status, 200);
    assert.equal((await must(sam.get<Grant>(`/api/v1/grants/${stuck[0]?.id}`))).state, 'revoking');
    // The same accounts are in reach by another way: a target that shares a server leaves what others' grants hold alone.
    const second = await world.server.app.store.transaction((tx) => tx.catalogue.targetByName('second'));
    assert.ok(second);
    assert.equal(await sweepTarget(world.server.app, second.id), 0);
  });
});

describe('behind Brevet\'s back, and two servers', () => {
  let world: BrevetWorld;
  before(async () => {
    world = await brevetWorld();
  });
  after(() => world[Symbol.asyncDispose]());

  const MEDDLING: Readonly<Record<string, (name: string) => string>> = {
    renamed: (name) => `alter role ${name} rename to carl_${name.slice(-6)}`,
    'dropped under its session': (name) => `drop owned by ${name}; drop role ${name}`,
    'made eternal, and given more': (name) => `alter role ${name} valid until 'infinity' createdb; grant all on shop.payment_cards to ${name}; grant shop_operator to ${name} with admin option`,
    'given objects and heirs': (name) => `create table shop.of_${name} (n int); alter table shop.of_${name} owner to ${name}; create role heir_${name.slice(-6)}; grant ${name} to heir_${name.slice(-6)}`,
    'made a member\'s grantor': (name) => `alter role ${name} nologin; grant ${name} to kimono_${name.slice(-6)}`,
  };
  for (const [what, sql] of Object.entries(MEDDLING)) {
    test(`B10 the role was ${what} by an operator: it is gone at the end, and so are its sessions`, async () => {
      const grant = await world.grant('ada', 'orders-write', { seconds: 120, approvers: ['kim'] });
      const object = grant.parts[0]?.object ?? '';
      const { rows } = await world.target.query('select oid::int as oid from pg_roles where rolname = $1', [object]);
      const { oid } = rows[0] as { oid: number };
      const held = await hold(await envFor(world, 'ada', grant.id));
      await held.client.query('begin; select count(*) from shop.orders');
      if (what.startsWith('made a member')) await world.target.query(`create role kimono_${object.slice(-6)}`);
      if (what.startsWith('dropped')) await held.client.query('commit');
      await world.target.query(sql(object), [], 'orders');
      await must((await world.as('ada')).post(`/api/v1/grants/${grant.id}/finish`));
      const ended = await world.until('ada', grant.id, 'ended', 20_000);
      await held.lost;
      const left = await world.target.query('select rolname from pg_roles where oid = $1', [oid]);
      assert.deepEqual(left.rows, []);
      assert.equal(await strangers(world, [object]), 0);
      assert.deepEqual(await world.roles(), []);
      assert.equal(ended.endReason, 'completed');
    });
  }

  test('a worker that slept through its claim changes nothing; what slips through all the same is swept', async () => {
    const { app } = world.server;
    const live = await world.grant('kim', 'orders-write', { seconds: 300, approvers: ['noor'] });
    const grant = await world.grant('ada', 'orders-write', { seconds: 300, approvers: ['kim'] });
    const object = grant.parts[0]?.object ?? '';
    const [part] = await app.store.transaction((tx) => tx.parts.ofGrant(grant.id as Attempt['grant']['id']));
    assert.ok(part);
    const asleep = await app.store.transaction((tx) => openAttempt(app, tx, { part, sealedSecret: null }, new Date(Date.now() + 600_000)));
    await must((await world.as('ada')).post(`/api/v1/grants/${grant.id}/finish`));
    await world.until('ada', grant.id, 'ended');

    await provisionPart(app, reachOf(app.monotonic), { part, sealedSecret: null });
    assert.ok(!(await world.roles()).includes(object), 'the whole attempt, again');
    const asks = () => app.store.transaction((tx) => tx.parts.holds(part.id, part.fence, 'provision'));
    await assert.rejects(asleep.connector.provision(asleep.plan, asks), /another worker has this part now/);
    assert.ok(!(await world.roles()).includes(object), 'it asked right before its commit');

    await asleep.connector.provision(asleep.plan, async () => true);
    assert.ok((await world.roles()).includes(object), 'as if it had asked just before the grant was taken');
    assert.equal(await sweepTarget(app, part.target), 1);
    assert.deepEqual(await world.roles(), [live.parts[0]?.object], 'what a live grant owns stays');
    const { items } = await eventually('its entry', 3000, async () => {
      const page = await must((await world.as('sam')).get<Answer<'logEntries'>>('/api/v1/log/entries?type=sweep.removed'));
      return page.items.length > 0 ? page : null;
    });
    assert.deepEqual(items.map(({ data }) => [data['object'], data['gone']]), [[object, true]]);
    await must((await world.as('kim')).post(`/api/v1/grants/${live.id}/finish`));
    await world.until('kim', live.id, 'ended');
  });

  test('B12 two servers on one store: each grant is made once, carried by either, removed once', async () => {
    const more = await world.another();
    const ada = await world.as('ada');
    const asked = await Promise.all(Array.from({ length: 12 }, () => ask(ada, 'orders-read', { ticket: 'SHOP-1', duration: 600 })));
    const grants = await Promise.all(asked.map((request) => world.until('ada', request.grant ?? '', 'active')));
    assert.deepEqual((await world.roles()).toSorted(), grants.map((grant) => grant.parts[0]?.object).toSorted());
    const env = await envFor(world, 'ada', grants[3]?.id);
    assert.equal(await psql({ ...env, PGPORT: String(more.brokerPort) }, 'select count(*) from shop.orders'), '5000');
    assert.equal(await psql(env, 'select count(*) from shop.orders'), '5000');
    for (const grant of grants) await must(ada.post(`/api/v1/grants/${grant.id}/finish`));
    for (const grant of grants) {
      await world.until('ada', grant.id, 'ended');
      const story = await storyOf(world, grant.id);
      for (const once of ['grant.activating', 'grant.part_present', 'grant.active', 'grant.revoking', 'grant.part_removing', 'grant.part_absent', 'grant.ended']) {
        assert.equal(story.filter((type) => type === once).length, 1, `${once} of ${grant.id}: ${story.join(' ')}`);
      }
    }
    assert.deepEqual(await world.roles(), []);
  });

  test('a request decided at one moment by two reviewers becomes one grant', async () => {
    const request = await ask(await world.as('ada'), 'orders-write');
    const replies = await Promise.allSettled([approve(await world.as('kim'), request), approve(await world.as('noor'), request)]);
    assert.equal(replies.filter(({ status }) => status === 'fulfilled').length, 1);
    const { items } = await must((await world.as('ada')).get<Answer<'grants'>>('/api/v1/grants?live=true'));
    assert.equal(items.length, 1);
    await must((await world.as('ada')).post(`/api/v1/grants/${items[0]?.id}/finish`));
  });
});
