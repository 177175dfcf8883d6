import assert from 'node:assert/strict';
import { after, before, test as declare } from 'node:test';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

/** A session that is not ended as it should would wait for ever. */
const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 30_000 }, work);

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget();
  await world.sql(`create role ada login password 'ada' connection limit 7 valid until '2099-01-01Z'; alter role ada set work_mem = '8MB';
    create role editors; grant usage on schema hr to editors; grant all on hr.people to editors; create role readers; grant readers to ada;
    grant usage on schema sales to ada; grant select on sales.orders to ada with grant option; create table sales.hers (n int); alter table sales.hers owner to ada`);
});
after(() => world[Symbol.asyncDispose]());

const SCOPE = { database: 'orders', verbs: ['select', 'update'], tables: ['sales.orders', 'sales.hers', 'sales.lines'], roles: ['editors', 'readers'] };
async function raise(scope: JsonObject = SCOPE) {
  const unprepared = world.plan(scope, { kind: 'temporary_elevation', account: 'ada' });
  const prior = JSON.parse(JSON.stringify(await world.connector.prepare(unprepared))) as JsonObject; // it lies in the store meanwhile
  const plan = { ...unprepared, prior };
  const made = await world.connector.provision(plan, yes);
  return { plan, made };
}
const can = (command: string) => world.psql('ada', 'ada', command);

test('G1: an account is raised, read back, and afterwards is exactly what it was', async () => {
  const before = await world.fingerprint();
  assert.ok(!(await can('update sales.orders set total = 0 where id = 1')).ok);
  const { plan, made } = await raise();
  assert.equal(made.secret, null);
  assert.deepEqual([made.evidence['memberships'], made.evidence['raised']], [['editors', 'readers'], 'ada']);
  for (const command of ['update sales.orders set total = 1 where id = 1', 'select * from sales.lines', 'update hr.people set salary = 1 where id = 1']) {
    assert.ok((await can(command)).ok, command);
  }
  assert.ok(!(await can('delete from sales.orders')).ok);
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue], [true, []], JSON.stringify(taken));
  assert.equal(await world.fingerprint(), before);
  assert.ok((await can('select count(*) from sales.orders')).ok && (await can('select * from sales.hers')).ok, 'what was held before is held still');
  assert.ok(!(await can('update hr.people set salary = 2')).ok);
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
});

test('B03, B04: open sessions of the account are ended, also one that did SET ROLE; new ones are as before', async () => {
  const { plan } = await raise();
  await using raised = await world.session('ada', 'ada');
  await raised.query('set role editors; select * from hr.people');
  const slow = await world.session('ada', 'ada');
  const cut = slow.query('select pg_sleep(30) from sales.lines right join (select 1) x on true').then(() => 'answered', (error: Error) => error.message);
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true);
  assert.ok(Number(taken.evidence['sessionsEnded']) >= 2);
  assert.match(await cut, /terminat/);
  await assert.rejects(raised.query('select * from hr.people'));
  assert.ok((await can('select 1')).ok);
});

test('B08: a crash before the commit leaves nothing; provisioned and withdrawn again it comes out the same', async () => {
  const before = await world.fingerprint();
  const bare = world.plan(SCOPE, { kind: 'temporary_elevation', account: 'ada' });
  assert.equal((await world.connector.withdraw(bare)).gone, true, 'nothing was prepared, nothing was given');
  await assert.rejects(world.connector.provision(bare, yes), (error) => error instanceof Refusal && error.code === 'invalid_input');
  const plan = { ...bare, prior: await world.connector.prepare(bare) };
  await assert.rejects(world.connector.provision(plan, () => Promise.resolve(false)), (error) => error instanceof Refusal && error.code === 'conflict');
  assert.equal(await world.fingerprint(), before);
  await world.connector.provision(plan, yes);
  const once = await world.fingerprint();
  await world.connector.provision({ ...plan, fence: 2 }, yes);
  assert.equal(await world.fingerprint(), once);
  await world.connector.withdraw(plan);
  assert.equal(await world.fingerprint(), before);
});

test('B10: what administrators did meanwhile stays: grants of their own, a renaming, a dropped table, a dropped account', async () => {
  await world.sql('create role eve login password \'eve\'; create table sales.brief (n int)');
  const scope = { database: 'orders', verbs: ['select'], tables: ['hr.people', 'sales.brief'], roles: ['editors'] };
  const unprepared = world.plan(scope, { kind: 'temporary_elevation', account: 'eve' });
  const plan = { ...unprepared, prior: await world.connector.prepare(unprepared) };
  await world.connector.provision(plan, yes);
  await world.sql(`grant insert on hr.people to eve; grant select on hr.people to eve with grant option; grant editors to eve with admin option;
    alter role eve rename to eva; drop table sales.brief; create table sales.brief (n int); grant select on sales.brief to eva`);
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.deepEqual(taken.residue, []);
  const [left] = await world.sql("select has_table_privilege('eva', 'hr.people', 'insert') as i, has_table_privilege('eva', 'sales.brief', 'select') as s, pg_has_role('eva', 'editors', 'member') as m");
  assert.deepEqual(left, { i: true, s: true, m: true });
  await world.sql('drop owned by eva; drop role eva; drop table sales.brief');
  assert.equal((await world.connector.withdraw(plan)).gone, true, 'an account that is gone holds nothing');
});

test('columns and functions come and go too', async () => {
  const before = await world.fingerprint();
  const { plan } = await raise({ database: 'orders', verbs: ['select', 'update'], columns: { 'hr.people': ['name'] }, functions: ['sales.close_month'] });
  assert.ok((await can('select name from hr.people; select sales.close_month(1)')).ok);
  assert.ok(!(await can('select salary from hr.people')).ok);
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
});

test('B10: the scope\'s database is gone at the end: the memberships are taken back all the same', async () => {
  await world.server.query('create database brief');
  const before = (await world.fingerprint()).replace(/^database brief.*\n/m, '');
  await world.server.query('create table t (n int)', [], 'brief');
  const { plan } = await raise({ database: 'brief', access: 'read-only', tables: ['public.t'], roles: ['editors'] });
  await world.server.query('drop database brief');
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
});

test('B08: an elevation that no store knows of is listed by its mark, and taken away with everything it gave', async () => {
  const before = await world.fingerprint();
  const { plan } = await raise();
  const live = await raise({ roles: ['editors'] });
  assert.deepEqual(await world.connector.listOwned(world.target), [{ name: plan.objectName, validUntil: plan.deadline }, { name: live.plan.objectName, validUntil: live.plan.deadline }]);
  await using raised = await world.session('ada', 'ada');
  await raised.query('set role editors; select * from hr.people');
  const taken = await world.connector.removeOwned(world.target, plan.objectName);
  assert.deepEqual([taken.gone, taken.evidence['sessionsEnded']], [true, 1], JSON.stringify(taken));
  await raised.lost;
  assert.ok(!(await can('update sales.orders set total = 1')).ok && (await can('select * from hr.people')).ok, 'the other elevation of this account goes on');
  assert.ok((await world.connector.listStanding(world.target)).every(({ on }) => !on.includes('brevet_')));
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal((await world.connector.withdraw(live.plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
});

test('B08, B10: a removal that was interrupted, or met by a lock, has taken the access already, and is finished by the next', async () => {
  const before = await world.fingerprint();
  const { plan } = await raise();
  await using blocking = await world.session('postgres', world.server.password);
  await world.sql(`create table sales.left_behind (n int); alter table sales.left_behind owner to ${plan.objectName}`);
  await blocking.query('begin; lock table sales.left_behind');
  const first = await world.connector.removeOwned(world.target, plan.objectName).catch((error: unknown) => error);
  assert.ok(first instanceof Refusal || !(first as { gone: boolean }).gone, JSON.stringify(first));
  await blocking.query('rollback');
  assert.ok(!(await can('update sales.orders set total = 1')).ok && !(await can('select * from hr.people')).ok);
  assert.deepEqual((await world.connector.listOwned(world.target)).map(({ name }) => name), [plan.objectName]);
  assert.equal((await world.connector.removeOwned(world.target, plan.objectName)).gone, true);
  await world.sql('drop table sales.left_behind');
  assert.equal(await world.fingerprint(), before);
});

test('B10, B15: the role of an elevation is passed on, used to make things, dropped by hand: nothing works on after the end', async () => {
  await world.sql("create role mallory login password 'mallory'; grant create on schema sales to editors");
  const { plan } = await raise();
  await using raised = await world.session('ada', 'ada');
  await raised.query(`set role ${plan.objectName}; create function sales.door() returns setof hr.people security definer language sql as 'select * from hr.people'`);
  await world.sql(`grant ${plan.objectName} to ada with admin option; grant usage on schema sales, hr to mallory`);
  await using passing = await world.session('ada', 'ada');
  await passing.query(`grant ${plan.objectName} to mallory`);
  assert.ok((await world.psql('mallory', 'mallory', 'select * from sales.door(); select * from hr.people')).ok);
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.deepEqual(taken.residue.map((item) => (item as { kind: string }).kind), ['membership_given', 'security_definer_function']);
  for (const command of ['select * from sales.door()', 'select * from hr.people']) assert.ok(!(await world.psql('mallory', 'mallory', command)).ok, command);

  const dropped = await raise({ roles: ['editors'] });
  await using still = await world.session('ada', 'ada');
  await still.query('set role editors');
  await world.sql(`drop role ${dropped.plan.objectName}`);
  assert.equal((await still.query('select * from hr.people')).length, 2, 'PostgreSQL lets such a session go on');
  assert.equal((await world.connector.withdraw(dropped.plan)).gone, true);
  await still.lost;
  await world.sql('drop function sales.door; drop owned by mallory; drop role mallory; revoke create on schema sales from editors');
});

test('an account that inherits nothing is not raised where the server can\'t make an exception', async () => {
  await world.sql("create role stiff login noinherit");
  const plan = world.plan({ roles: ['editors'] }, { kind: 'temporary_elevation', account: 'stiff' });
  const [version] = await world.sql('show server_version_num');
  if (Number(version?.['server_version_num']) < 160_000) await assert.rejects(world.connector.prepare(plan), /NOINHERIT/);
  else assert.ok(await world.connector.prepare(plan));
});

test('superusers, Brevet\'s own and missing accounts are not raised', async () => {
  for (const account of ['postgres', 'pg_monitor', 'nobody_here']) {
    const plan = world.plan(SCOPE, { kind: 'temporary_elevation', account });
    await assert.rejects(world.connector.prepare(plan), (error) => error instanceof Refusal && ['dangerous_scope', 'target_refused'].includes(error.code), account);
  }
  await world.sql('create role root2 superuser; create role way; grant root2 to way');
  const plan = world.plan({ roles: ['way'] }, { kind: 'temporary_elevation', account: 'ada' });
  await assert.rejects(world.connector.prepare(plan), (error) => error instanceof Refusal && error.code === 'dangerous_scope');
});
