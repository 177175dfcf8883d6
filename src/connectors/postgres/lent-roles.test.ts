import assert from 'node:assert/strict';
import { after, before, test as declare } from 'node:test';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 30_000 }, work);

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget();
  await world.server.query('create database other');
  await world.sql(`create role ada login password 'ada'; create role stranger login password 'stranger'; grant usage on schema hr to stranger;
    create role keepers; alter table hr.people owner to keepers; grant usage, create on schema hr to keepers;
    create role through; grant keepers to through;
    create role passers; grant select on sales.orders to passers with grant option;
    create role columns; grant select (id) on sales.orders to columns with grant option;
    create role elsewhere; create role operators; grant usage on schema hr to operators; grant select on hr.secrets to operators`);
  await world.server.query('create table there (n int); grant select on there to elsewhere with grant option', [], 'other');
});
after(() => world[Symbol.asyncDispose]());

const elevation = (scope: JsonObject) => world.plan(scope, { kind: 'temporary_elevation', account: 'ada' });
async function prepared(plan: ReturnType<typeof elevation>) {
  return { ...plan, prior: JSON.parse(JSON.stringify(await world.connector.prepare(plan))) as JsonObject };
}

test('B15: a role that owns something or may pass it on is not lent, at any depth and from any database, unless the scope says so', async () => {
  for (const [role, why] of [['keepers', /owns objects/], ['through', /keepers \(reached through through\) owns/], ['passers', /grant option/], ['columns', /grant option/], ['elsewhere', /database other/]] as const) {
    const refused = (error: unknown) => error instanceof Refusal && error.code === 'dangerous_scope' && error.details.field === '/roles' && why.test(error.message);
    await assert.rejects(world.connector.prepare(elevation({ roles: [role] })), refused, role);
    await assert.rejects(world.connector.provision(world.plan({ database: 'orders', roles: [role] }), yes), refused, role);
    const allowed = await prepared(elevation({ roles: [role], ownerRoles: 'allowed' }));
    await world.connector.provision(allowed, yes);
    assert.deepEqual([(await world.connector.withdraw(allowed)).residue], [[]], role);
  }
  const plain = await prepared(elevation({ roles: ['operators'] }));
  await world.connector.provision(plain, yes);
  assert.equal((await world.connector.withdraw(plain)).gone, true);
});

test('B15: what was done as a lent role is counted and told: grants to others, functions, objects', async () => {
  const scope = { database: 'orders', verbs: ['select'], tables: ['sales.orders'], roles: ['through'], ownerRoles: 'allowed' };
  for (const kind of ['ephemeral_account', 'temporary_elevation'] as const) {
    const plan = await prepared(kind === 'ephemeral_account' ? world.plan(scope) : elevation(scope));
    const { secret } = await world.connector.provision(plan, yes);
    await using session = await world.session(kind === 'ephemeral_account' ? plan.objectName : 'ada', secret ?? 'ada');
    await session.query(`set role keepers; grant select on hr.people to stranger;
      create function hr.back_${kind}() returns setof hr.people language sql security definer as 'select * from hr.people'`);
    const taken = await world.connector.withdraw(plan);
    assert.equal(taken.gone, true, JSON.stringify(taken));
    const told = (taken.residue as JsonObject[]).filter((one) => one['kind'] === 'left_by_lent_role' && one['role'] === 'keepers').map((one) => one['what']);
    assert.deepEqual(told, ['owned objects on the server', 'security definer functions', 'privileges given to others'], JSON.stringify(taken.residue));
    await world.sql('revoke all on hr.people from stranger');
  }
});

test('B15: also of a role that owned nothing, and made something where everybody may', async () => {
  await world.sql('grant create on schema hr to operators');
  const plan = await prepared(world.plan({ database: 'orders', roles: ['operators'] }));
  const { secret } = await world.connector.provision(plan, yes);
  await using session = await world.session(plan.objectName, secret ?? '');
  await session.query(`set role operators; create function hr.out() returns setof hr.secrets language sql security definer as 'select * from hr.secrets'`);
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual((taken.residue as JsonObject[]).map((one) => [one['kind'], one['role'], one['what']]), [
    ['left_by_lent_role', 'operators', 'owned objects on the server'], ['left_by_lent_role', 'operators', 'security definer functions'],
  ]);
});
