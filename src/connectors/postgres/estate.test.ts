import assert from 'node:assert/strict';
import { after, afterEach, before, test as declare } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PartPlan } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 40_000 }, work);
const ESTATE = 'brevet_estate_0123456789abcdef';

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget({ conf: ['autovacuum_naptime = 1'] });
  await world.sql(`create schema scratch; grant usage on schema scratch to public; create role clerk login password 'clerk'; grant usage on schema sales to clerk; grant select, update, delete on sales.orders to clerk`);
});
after(() => world[Symbol.asyncDispose]());
afterEach(() => clean());

/** Gives a grant that may make things, does `left` as its account, and takes it away. */
async function leave(left: string | ((name: string) => string), more: Partial<PartPlan> = {}) {
  const plan = world.plan({ database: 'orders', verbs: ['select', 'references', 'trigger'], tables: ['sales.orders'], createIn: ['scratch'] }, more);
  const { secret } = await world.connector.provision(plan, yes);
  const session = await world.session(plan.objectName, secret ?? '');
  await session.query(typeof left === 'string' ? left : left(plan.objectName));
  await session.client.end();
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  return taken.residue as readonly Readonly<Record<string, unknown>>[];
}
const ownerOf = async (table: string) => (await world.sql('select pg_get_userbyid(relowner) as owner from pg_class where oid = $1::regclass', [table]))[0]?.['owner'];
const clean = () => world.sql('drop schema scratch cascade; create schema scratch; grant usage on schema scratch to public');
const reassigning = (reassignTo: string) => ({ target: { ...world.target, config: { ...world.target.config, reassignTo } } });

/** A table whose index runs a function at each ANALYZE, and autovacuum told to hurry: it notes whom it ran as. */
const INDEXED = `
  create table scratch.ran (who text);
  create function scratch.v() returns void language plpgsql as $f$ begin
    if current_user not like 'brevet\\_0%' then insert into scratch.ran values (current_user); end if;
    if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then create role evil superuser; end if; end $f$;
  create function scratch.i(n int) returns int language plpgsql immutable as $f$ begin perform scratch.v(); return n; end $f$;
  create table scratch.t (n int) with (autovacuum_analyze_threshold = 1, autovacuum_analyze_scale_factor = 0, autovacuum_enabled = false);
  create index on scratch.t (scratch.i(n)); insert into scratch.t select generate_series(1, 2000);
  alter table scratch.t set (autovacuum_enabled = true); insert into scratch.t values (1)`;

test('B15: an index that runs code at ANALYZE wakes up as nobody: not by autovacuum, and not as an administrator by hand', async () => {
  const residue = await leave(INDEXED);
  assert.ok(residue.some((one) => one['kind'] === 'code_on_own_table' && one['autovacuumDisabled'] === true), JSON.stringify(residue));
  assert.equal(await ownerOf('scratch.t'), ESTATE);
  await sleep(3500);
  await world.sql('analyze scratch.t');
  assert.deepEqual((await world.sql('select distinct who from scratch.ran')).map(({ who }) => who), [ESTATE], 'the trap is real, and sprang on nobody');
  assert.deepEqual(await world.sql("select from pg_roles where rolname = 'evil'"), []);
});

test('B15: a foreign key to a table of others does nothing there any more', async () => {
  const residue = await leave(`
    create table scratch.t (id int references sales.orders on delete cascade); insert into scratch.t select id from sales.orders;
    create function scratch.f() returns trigger language plpgsql as $f$ begin create role evil superuser; return old; end $f$;
    create trigger x before delete on scratch.t for each row when (old.id = 7) execute function scratch.f()`);
  const key = residue.find((one) => one['kind'] === 'foreign_key');
  assert.deepEqual([key?.['on'], key?.['dropped'], key?.['definition']], ['scratch.t', true, 'FOREIGN KEY (id) REFERENCES sales.orders(id) ON DELETE CASCADE']);
  const deleted = await world.psql('clerk', 'clerk', 'delete from sales.orders where id = 7');
  assert.deepEqual(deleted, { ok: true, text: 'DELETE 1' });
  assert.equal((await world.sql('select count(*)::int as n from scratch.t where id = 7'))[0]?.['n'], 1);
  assert.deepEqual(await world.sql("select tgenabled from pg_trigger where tgname = 'x'"), [{ tgenabled: 'D' }]);
  assert.deepEqual(await world.sql("select from pg_roles where rolname = 'evil'"), []);
});

test('B15: a trigger on a table of others that calls the account\'s function only in its WHEN is off as well', async () => {
  const residue = await leave(`
    create function scratch.when_(n int) returns bool language plpgsql as $f$ begin insert into scratch.seen values (current_user); return false; end $f$;
    create table scratch.seen (who text);
    create trigger w before update on sales.orders for each row when (scratch.when_(old.id)) execute function suppress_redundant_updates_trigger()`);
  assert.ok(residue.some((one) => one['kind'] === 'trigger' && one['name'] === 'w' && one['disabled'] === true), JSON.stringify(residue));
  assert.ok((await world.psql('clerk', 'clerk', 'update sales.orders set total = 5 where id = 9')).ok);
  await world.sql('drop trigger w on sales.orders');
});

test('B15: a rule on a table of the account\'s own is off when somebody else writes there', async () => {
  const residue = await leave(`
    create table scratch.t (n int); create table scratch.seen (who text);
    create rule r as on insert to scratch.t do also insert into scratch.seen values (current_user)`);
  assert.ok(residue.some((one) => one['kind'] === 'code_on_own_table' && one['on'] === 'scratch.t' && one['rulesDisabled'] === 1), JSON.stringify(residue));
  await world.sql('insert into scratch.t values (1)');
  assert.deepEqual(await world.sql('select * from scratch.seen'), []);
});

test('B15: the role that inherits can do nothing; one that was given something is passed over, and holds up nothing', async () => {
  const make = 'create table scratch.mine (n int)';
  const itsOwn = `${make}; grant all on scratch.mine to ${ESTATE}`;
  assert.equal((await leave(itsOwn)).some((one) => one['kind'] === 'estate_role_changed'), false, 'what the account gave it is taken first');
  assert.equal(await ownerOf('scratch.mine'), ESTATE);
  const [role] = await world.sql('select rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as can, (select count(*) from pg_auth_members where member = oid or roleid = oid)::int as n from pg_roles where rolname = $1', [ESTATE]);
  assert.deepEqual(role, { can: false, n: 0 });
  assert.deepEqual(await world.connector.listOwned(world.target), [], 'the sweeper does not know it');
  for (const [give, take] of [
    ['grant select on sales.orders to %', 'revoke select on sales.orders from %'], ['grant pg_execute_server_program to %', 'revoke pg_execute_server_program from %'],
    ['alter role % superuser', 'alter role % nosuperuser'], ['comment on role % is null', ''],
  ]) {
    await clean();
    await world.sql(String(give).replace('%', ESTATE));
    const residue = await leave(make);
    assert.ok(residue.some((one) => one['kind'] === 'estate_role_changed' && one['name'] === ESTATE), give);
    assert.equal(await ownerOf('scratch.mine'), `${ESTATE}_2`, give);
    if (take) await world.sql(take.replace('%', ESTATE));
  }
});

test('B15: a configured heir that is an administrator, by whatever way, gets nothing; a plain one does', async () => {
  await world.sql(`create role plain; create role boss createrole; create role under; grant boss to under; create role shell; grant pg_execute_server_program to shell`);
  for (const wanted of ['postgres', 'boss', 'under', 'shell', 'nobody_there']) {
    const residue = await leave('create table scratch.mine (n int)', reassigning(wanted));
    assert.ok(residue.some((one) => one['kind'] === 'heir_refused' && one['name'] === wanted), wanted);
    assert.match(String(await ownerOf('scratch.mine')), /^brevet_estate_/);
    await clean();
  }
  const residue = await leave(INDEXED, reassigning('plain'));
  assert.equal(residue.some((one) => one['kind'] === 'heir_refused'), false);
  assert.equal(await ownerOf('scratch.t'), 'plain');
  await sleep(3500);
  assert.deepEqual(await world.sql('select * from scratch.ran'), [], 'autovacuum leaves the table alone');
});

test('B15: what was made as the role of an elevation goes the same way', async () => {
  await world.sql(`create role ada login password 'ada'`);
  const bare = world.plan({ database: 'orders', verbs: ['select'], tables: ['sales.orders'], createIn: ['scratch'] }, { kind: 'temporary_elevation', account: 'ada' });
  const plan = { ...bare, prior: JSON.parse(JSON.stringify(await world.connector.prepare(bare))) as JsonObject };
  await world.connector.provision(plan, yes);
  const session = await world.session('ada', 'ada');
  await session.query(`set role ${plan.objectName}; ${INDEXED}`);
  await session.client.end();
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.match(String(await ownerOf('scratch.t')), /^brevet_estate_/);
});

test('B15: Brevet is no superuser: functions, tables, types go to the powerless role, which may create nowhere afterwards', async () => {
  await using own = await startPostgresTarget({ admin: 'createrole' });
  await own.sql('create schema scratch; alter schema scratch owner to brevet_admin; grant create on database orders to brevet_admin');
  for (let round = 1; round <= 2; round++) {
    const plan = own.plan({ database: 'orders', verbs: ['references'], tables: ['sales.orders'], createIn: ['scratch'] });
    const { secret } = await own.connector.provision(plan, yes);
    await using session = await own.session(plan.objectName, secret ?? '');
    await session.query(`create table scratch.t${round} (id int references sales.orders); create type scratch.y${round} as enum ('a');
      create function scratch.f${round}() returns int language sql security definer as 'select 1'`);
    const taken = await own.connector.withdraw(plan);
    assert.equal(taken.gone, true, JSON.stringify(taken));
  }
  await own.sql('create role plain');
  for (const member of [false, true]) {
    if (member) await own.sql('grant plain to brevet_admin');
    const plan = own.plan({ database: 'orders', verbs: ['select'], tables: ['sales.orders'], createIn: ['scratch'] }, { target: { ...own.target, config: { ...own.target.config, reassignTo: 'plain' } } });
    const { secret } = await own.connector.provision(plan, yes);
    await using session = await own.session(plan.objectName, secret ?? '');
    await session.query(`create table scratch.of_${member} (n int)`);
    const taken = await own.connector.withdraw(plan);
    assert.equal((taken.residue as JsonObject[]).find((one) => one['kind'] === 'heir_refused')?.['why'], member ? undefined : "Brevet's role is no member of it", JSON.stringify(taken));
    const [owner] = await own.sql('select relowner::regrole::text as who from pg_class where relname = $1', [`of_${member}`]);
    assert.equal(owner?.['who'], member ? 'plain' : ESTATE);
  }
  const owners = await own.sql(`select proowner::regrole::text as who from pg_proc where proname in ('f1', 'f2') union all select relowner::regrole::text from pg_class where relname in ('t1', 't2')
    union all select typowner::regrole::text from pg_type where typname in ('y1', 'y2')`);
  assert.deepEqual(owners.map(({ who }) => who), Array.from({ length: 6 }, () => ESTATE));
  assert.deepEqual(await own.sql(`select has_schema_privilege('${ESTATE}', 'scratch', 'create') as can`), [{ can: false }]);
});
