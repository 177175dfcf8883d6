import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

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
  assert.deepEqual(made.evidence['memberships'], ['editors']);
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
  assert.deepEqual(taken.residue.map((item) => (item as { kind: string }).kind).sort(), ['made_grantable', 'membership_made_grantable']);
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

test('superusers, Brevet\'s own and missing accounts are not raised', async () => {
  for (const account of ['postgres', 'pg_monitor', 'nobody_here']) {
    const plan = world.plan(SCOPE, { kind: 'temporary_elevation', account });
    await assert.rejects(world.connector.prepare(plan), (error) => error instanceof Refusal && ['dangerous_scope', 'target_refused'].includes(error.code), account);
  }
  await world.sql('create role root2 superuser; create role way; grant root2 to way');
  const plan = world.plan({ roles: ['way'] }, { kind: 'temporary_elevation', account: 'ada' });
  await assert.rejects(world.connector.prepare(plan), (error) => error instanceof Refusal && error.code === 'dangerous_scope');
});
