import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget();
});
after(() => world[Symbol.asyncDispose]());
const SCOPE = { database: 'orders', access: 'read-only', tables: ['sales.orders'] };

test('G2: what a crash left is listed by its mark and swept; a human\'s role that only looks like it is left alone', async () => {
  const plan = world.plan(SCOPE);
  const { secret } = await world.connector.provision(plan, yes);
  const human = world.plan(SCOPE).objectName;
  await world.sql(`create role ${human} login; create role brevet_team; comment on role brevet_team is 'brevet of the court'; alter role ${plan.objectName} rename to hidden`);
  await world.sql(`comment on role postgres is '${String((await world.sql("select shobj_description(oid, 'pg_authid') as c from pg_roles where rolname = 'hidden'"))[0]?.['c'])}'`);
  const owned = await world.connector.listOwned(world.target);
  assert.deepEqual(owned, [{ name: 'hidden', validUntil: plan.deadline }]);
  await using session = await world.session('hidden', secret ?? '').catch(() => world.session('postgres', world.server.password));
  assert.ok(session);
  assert.equal((await world.connector.removeOwned(world.target, 'hidden')).gone, true);
  assert.equal((await world.connector.removeOwned(world.target, 'hidden')).gone, true, 'absent is success');
  for (const name of [human, 'brevet_team', 'postgres']) {
    assert.equal((await world.connector.removeOwned(world.target, name)).gone, false);
    assert.equal((await world.sql('select from pg_roles where rolname = $1', [name])).length, 1);
  }
  assert.deepEqual(await world.connector.listOwned(world.target), []);
});

test('B12: two Brevets on one server: each lists, finds and sweeps its own, and neither touches the other\'s', async () => {
  const [one, other] = [world.connector, world.connectorOf('fedcba9876543210')];
  await world.sql("create role eve login password 'eve'; create role crew");
  const plans = { one: world.plan(SCOPE), other: world.plan(SCOPE), orphan: world.plan(SCOPE) };
  const elevation = world.plan({ roles: ['crew'] }, { kind: 'temporary_elevation', account: 'eve' });
  await one.provision(plans.one, yes);
  const { secret } = await other.provision(plans.other, yes);
  await other.provision(plans.orphan, yes);
  await other.provision({ ...elevation, prior: await other.prepare(elevation) }, yes);
  const names = async (connector: typeof one) => (await connector.listOwned(world.target)).map(({ name }) => name).sort();
  assert.deepEqual(await names(one), [plans.one.objectName]);
  assert.deepEqual(await names(other), [plans.other.objectName, plans.orphan.objectName, elevation.objectName].sort());
  for (const { objectName } of [plans.other, plans.orphan, elevation]) {
    const taken = await one.removeOwned(world.target, objectName);
    assert.deepEqual([taken.gone, taken.evidence['unmarkedRole']], [false, true]);
  }
  assert.equal((await one.withdraw(plans.other)).gone, false, 'another\'s account of the same name is not ours to end');
  await assert.rejects(one.provision(plans.other, yes), /is not of this part/);
  assert.ok((await world.psql(plans.other.objectName, secret ?? '', 'select count(*) from sales.orders')).ok);
  const [raised] = await world.sql("select pg_has_role('eve', 'crew', 'usage') as yes");
  assert.equal(raised?.['yes'], true);
  for (const { objectName } of [plans.orphan, elevation]) assert.equal((await other.removeOwned(world.target, objectName)).gone, true);
  assert.deepEqual([await names(one), await names(other)], [[plans.one.objectName], [plans.other.objectName]]);
  assert.ok((await one.listStanding(world.target)).some(({ account }) => account === plans.other.objectName), 'what another Brevet gave is no grant of ours');
  assert.equal((await one.withdraw(plans.one)).gone, true);
  assert.equal((await other.withdraw(plans.other)).gone, true);
});

test('standing privileges: who can do what with no grant, in every database', async () => {
  await world.server.query('create database second');
  await world.server.query("create role bob login; create role team; grant team to bob; create role root2 superuser; create table t (n int); grant update on t to bob; grant select on t to public", [], 'second');
  const plan = world.plan(SCOPE);
  await world.connector.provision(plan, yes);
  const standing = await world.connector.listStanding(world.target);
  for (const expected of [
    { account: 'bob', privilege: 'member', on: 'role team' }, { account: 'root2', privilege: 'superuser', on: 'server' },
    { account: 'bob', privilege: 'update', on: 'table public.t in database second' }, { account: 'public', privilege: 'select', on: 'table public.t in database second' },
    { account: 'public', privilege: 'connect', on: 'database orders' },
  ]) assert.ok(standing.some((one) => JSON.stringify(one) === JSON.stringify(expected)), JSON.stringify(expected));
  assert.ok(!standing.some(({ account }) => account === plan.objectName || account === 'postgres'));
});

test('the probe tells the version and the clock, and refusing from being away', async () => {
  const good = await world.connector.probe(world.target);
  assert.ok(good.reachable && good.problem === null && /^1[3-9]/.test(good.version ?? '') && Math.abs(good.skewMs ?? 9999) < 500, JSON.stringify(good));
  const wrong = await world.connector.probe({ ...world.target, credential: 'guessed wrong' });
  assert.ok(wrong.reachable && /authentication failed/.test(wrong.problem ?? '') && !/guessed/.test(wrong.problem ?? ''));
  const away = await world.connector.probe({ ...world.target, config: { ...world.target.config, port: 1 } });
  assert.deepEqual([away.reachable, away.skewMs], [false, null]);
  await world.server.pause();
  const started = performance.now();
  const hung = await world.connector.probe(world.target);
  await world.server.resume();
  assert.ok(!hung.reachable && performance.now() - started < 6000, `${performance.now() - started} ms`);
});
