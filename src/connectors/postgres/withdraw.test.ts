import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test as declare } from 'node:test';
import type { PartPlan, Withdrawn } from '#app/ports/connector.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';

/** A session that is not ended as it should would wait for ever. */
const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 30_000 }, work);

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget({ conf: ['max_prepared_transactions = 10'] });
});
after(() => world[Symbol.asyncDispose]());

const SCOPE = { database: 'orders', access: 'read-write', tables: ['sales.orders'] };
async function grant(scope: object = SCOPE, more: Partial<PartPlan> = {}) {
  const plan = world.plan(scope as never, more);
  const { secret } = await world.connector.provision(plan, yes);
  return { plan, name: plan.objectName, secret: secret ?? '' };
}
const kinds = (taken: Withdrawn) => taken.residue.map((item) => (item as { kind: string }).kind);
const find = (taken: Withdrawn, kind: string) => taken.residue.find((item) => (item as { kind: string }).kind === kind) as Record<string, unknown> | undefined;
const exists = async (name: string) => (await world.sql('select from pg_roles where rolname = $1', [name])).length === 1;

test('B03, B04: idle, in a query, in a transaction, in COPY, after SET ROLE: every session is ended, nothing is left', async () => {
  await world.sql('create role lent; grant select on hr.secrets to lent; grant usage on schema hr to lent');
  const before = await world.fingerprint();
  const { plan, name, secret } = await grant({ ...SCOPE, roles: ['lent'] });
  const sessions = await Promise.all(Array.from({ length: 5 }, () => world.session(name, secret)));
  const [idle, running, open, copying, raised] = sessions;
  assert.ok(idle && running && open && copying && raised);
  const cut = running.query('select pg_sleep(60)').then(() => 'answered', (error: Error) => error.message);
  await open.query("begin; update sales.orders set total = -1 where id = 1");
  const copied = copying.query('copy (select pg_sleep(0.01), * from generate_series(1, 100000)) to stdout').then(() => 'answered', (error: Error) => error.message);
  await raised.query('set role lent');
  assert.equal((await raised.query('select word from hr.secrets'))[0]?.['word'], 'hush');
  const psql = spawn(join(world.server.bin, 'psql'), ['-X', '-h', world.server.host, '-p', String(world.server.port), '-U', name, '-d', 'orders', '-c', 'select pg_sleep(60)'],
    { env: { PGPASSWORD: secret }, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(psql, 'exit');
  let said = '';
  psql.stderr.on('data', (bytes) => (said += String(bytes)));
  while ((await world.sql("select from pg_stat_activity where usename = $1 and query like '%pg_sleep(60)%'", [name])).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));

  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.equal(taken.evidence['sessionsEnded'], 6);
  assert.match(await cut, /terminat/);
  assert.match(await copied, /terminat/);
  await exited;
  assert.match(said, /terminating connection/);
  for (const session of sessions) {
    await assert.rejects(session.query('select word from hr.secrets'));
    await session.lost;
  }
  assert.notEqual((await world.sql('select total from sales.orders where id = 1'))[0]?.['total'], -1);
  assert.equal(await world.fingerprint(), before);
  assert.match((await world.psql(name, secret, 'select 1')).text, /authentication failed/);
});

test('B10: withdraw again, and of what never was, succeeds', async () => {
  const { plan } = await grant();
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  const again = await world.connector.withdraw(plan);
  assert.deepEqual([again.gone, again.evidence['found']], [true, false]);
  assert.equal((await world.connector.withdraw(world.plan(SCOPE as never))).gone, true);
});

test('B10: renamed by an administrator, dropped with its session still open, given more: gone all the same', async () => {
  const renamed = await grant();
  await using session = await world.session(renamed.name, renamed.secret);
  await world.sql(`alter role ${renamed.name} rename to clever`);
  assert.equal((await world.connector.withdraw(renamed.plan)).gone, true);
  assert.ok(!(await exists('clever')));
  await session.lost;

  const dropped = await grant({ ...SCOPE, roles: ['lent'] });
  await using orphan = await world.session(dropped.name, dropped.secret);
  await orphan.query('set role lent');
  await world.sql(`drop owned by ${dropped.name}; drop role ${dropped.name}`);
  assert.equal((await orphan.query('select word from hr.secrets'))[0]?.['word'], 'hush', 'the trap is real: the session reads on');
  const taken = await world.connector.withdraw(dropped.plan);
  assert.deepEqual([taken.gone, taken.evidence['sessionsOfDroppedRoles']], [true, 1]);
  await assert.rejects(orphan.query('select word from hr.secrets'));

  const before = await world.fingerprint();
  const more = await grant();
  await world.sql('create database other');
  await world.sql(`grant all on database other to ${more.name}`);
  await world.server.query(`create table kept (n int); grant all on kept to ${more.name}; alter default privileges grant select on tables to ${more.name}; create policy p on kept to ${more.name}`, [], 'other');
  await world.sql(`grant pg_monitor to ${more.name}; alter role ${more.name} superuser`);
  assert.equal((await world.connector.withdraw(more.plan)).gone, false, 'a superuser with our mark was not made by us as it is');
  await world.sql(`alter role ${more.name} nosuperuser`);
  const end = await world.connector.withdraw(more.plan);
  assert.equal(end.gone, true, JSON.stringify(end));
  await world.sql('drop database other');
  assert.equal(await world.fingerprint(), before);
});

test('B15: what the session left is found, disarmed and handed over, also in another database', async () => {
  await world.server.query('create schema scratch; grant usage on schema scratch to public', [], 'orders');
  await world.sql('create role accomplice login password \'accomplice\'; grant usage on schema hr to accomplice');
  const { plan, name, secret } = await grant({ database: 'orders', verbs: ['select', 'trigger'], tables: ['sales.orders'], createIn: ['scratch'] });
  await world.sql(`grant create on database orders to ${name}; grant usage on schema hr to ${name}`); // an administrator gave more: schemas can be planted too
  await using session = await world.session(name, secret);
  await session.query(`
    create table scratch.notes (n int); grant all on scratch.notes to accomplice, public;
    create table scratch.bait (n int); grant insert on scratch.bait to accomplice;
    create rule r as on insert to scratch.bait do also update hr.people set salary = 1000000;
    create view scratch.peep as select * from hr.secrets; grant select on scratch.peep to public;
    create function scratch.backdoor() returns text language sql security definer as 'select current_user::text'; grant execute on function scratch.backdoor to accomplice;
    create function scratch.wire() returns trigger language plpgsql as $$ begin perform pg_sleep(0); return new; end $$;
    create trigger tap before insert on sales.orders for each row execute function scratch.wire();
    create schema lair; grant usage on schema lair to accomplice;
    select lo_create(4711); alter role current_user password 'mine now'; alter default privileges grant all on tables to accomplice;
    create temp table t (n int)`);
  const before = await world.psql('accomplice', 'accomplice', 'select scratch.backdoor()');
  assert.equal(before.text, name);

  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.ok(!(await exists(name)));
  for (const kind of ['object', 'security_definer_function', 'trigger', 'password_changed']) assert.ok(kinds(taken).includes(kind), kind);
  assert.ok(taken.residue.some((item) => (item as { name?: string }).name === 'scratch.notes'));
  // Everything is there still, a powerless role's now, and of no use to anybody else.
  assert.equal((await world.sql("select count(*)::int as n from pg_class where relnamespace = 'scratch'::regnamespace and relkind in ('r', 'v') and relowner = 'brevet_estate_0123456789abcdef'::regrole"))[0]?.['n'], 3);
  for (const command of ['select scratch.backdoor()', 'select * from scratch.peep', 'insert into scratch.bait values (1)', 'select * from scratch.notes', 'create table lair.x (n int)']) {
    const result = await world.psql('accomplice', 'accomplice', command);
    assert.match(result.text, /permission denied/, command);
  }
  assert.equal((await world.sql('select prosecdef from pg_proc where proname = \'backdoor\''))[0]?.['prosecdef'], false);
  assert.equal((await world.sql('select tgenabled from pg_trigger where tgname = \'tap\''))[0]?.['tgenabled'], 'D');
  await world.sql('drop trigger tap on sales.orders; drop schema scratch, lair cascade');
});

test('B15: the account was lent to others (before PostgreSQL 15 it could do so itself): reported, and ended', async () => {
  const { plan, name } = await grant();
  await world.sql(`grant ${name} to accomplice`);
  await using lent = await world.session('accomplice', 'accomplice');
  await lent.query(`set role ${name}; select count(*) from sales.orders`);
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual([taken.gone, find(taken, 'membership_given')?.['name']], [true, 'accomplice']);
  await lent.lost; // having done SET ROLE it might have gone on to what the account was lent
  assert.ok(!(await world.psql('accomplice', 'accomplice', 'select count(*) from sales.orders')).ok);
});

test('B15: jobs of pg_cron are removed, and a look-alike of its table is not touched', async () => {
  // A stand-in for the extension: its table, belonging to an extension of that name.
  await world.sql(`create schema cron; create table cron.job (jobid int, schedule text, command text, username text);
    create table cron.log (n int); alter extension plpgsql add table cron.job; update pg_extension set extname = 'pg_cron' where extname = 'plpgsql'`);
  const { plan, name } = await grant();
  await world.sql(`insert into cron.job values (1, '* * * * *', 'grant all', '${name}'), (2, '@daily', 'vacuum', 'postgres')`);
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual([taken.gone, find(taken, 'scheduled_job')?.['schedule']], [true, '* * * * *']);
  assert.equal((await world.sql('select jobid from cron.job')).length, 1);
  await world.sql("update pg_extension set extname = 'plpgsql' where extname = 'pg_cron'; alter extension plpgsql drop table cron.job");
  const next = await grant();
  await world.sql(`insert into cron.job values (3, '* * * * *', 'x', '${next.name}')`);
  assert.equal((await world.connector.withdraw(next.plan)).gone, true);
  assert.equal((await world.sql('select jobid from cron.job')).length, 2);
  await world.sql('drop schema cron cascade');
});

test('a prepared transaction can\'t outlive the account', async () => {
  const { plan, name, secret } = await grant();
  await using session = await world.session(name, secret);
  await session.query('begin; update sales.orders set total = -7 where id = 2');
  await session.query(`prepare transaction 'o''clock'`);
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.evidence['preparedRolledBack']], [true, 1], JSON.stringify(taken));
  assert.equal((await world.sql('select from pg_prepared_xacts')).length, 0);
  assert.notEqual((await world.sql('select total from sales.orders where id = 2'))[0]?.['total'], -7);
});

test('B10: a lock that blocks the removal: neutralised and told, then finished when the lock goes', async () => {
  await world.sql('create schema if not exists scratch');
  const { plan, name, secret } = await grant({ ...SCOPE, createIn: ['scratch'] });
  await using session = await world.session(name, secret);
  await session.query('create table scratch.held (n int)');
  await using locker = await world.session('postgres', world.server.password);
  await locker.query('begin; lock table scratch.held');
  const blocked = await world.connector.withdraw(plan);
  assert.equal(blocked.gone, false);
  assert.match(JSON.stringify(blocked.evidence['problems']), /lock timeout/);
  await assert.rejects(session.query('select 1'));
  assert.match((await world.psql(name, secret, 'select 1')).text, /authentication failed|not permitted/);
  assert.equal((await world.sql("select has_table_privilege($1, 'sales.orders', 'select') as can", [name]))[0]?.['can'], false);
  await locker.query('rollback');
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  await world.sql('drop schema scratch cascade');
});

test('B08: withdraw finishes from any half state, also one that another withdraw left', async () => {
  const steps = [
    (name: string) => `alter role ${name} nologin`, (name: string) => `alter role ${name} nologin password null connection limit 0`,
    (name: string) => `drop owned by ${name}`, (name: string) => `revoke lent from ${name}`,
    (name: string) => `reassign owned by ${name} to postgres; drop owned by ${name}`,
  ];
  for (const step of steps) {
    const before = await world.fingerprint();
    const { plan, name, secret } = await grant({ ...SCOPE, roles: ['lent'] });
    await using session = await world.session(name, secret);
    await world.sql(step(name));
    assert.equal((await world.connector.withdraw(plan)).gone, true);
    assert.equal(await world.fingerprint(), before);
    await session.lost;
  }
});

test('B08: the server dies in the middle: unreachable is said, and afterwards the removal is completed', async () => {
  const { plan, name } = await grant();
  const racing = Promise.allSettled(Array.from({ length: 4 }, (_, i) => new Promise((resolve) => setTimeout(resolve, 6 * i)).then(() => world.connector.withdraw(plan))));
  await new Promise((resolve) => setTimeout(resolve, 15));
  await world.server.kill();
  for (const result of await racing) if (result.status === 'rejected') assert.equal((result.reason as { code: string }).code, 'target_unreachable', String(result.reason));
  await assert.rejects(world.connector.withdraw(plan), { code: 'target_unreachable' });
  assert.equal((await world.connector.probe(world.target)).reachable, false);
  await world.server.start();
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.ok(!(await exists(name)));
});

test('the scope\'s database is gone or closed at the end: the account goes all the same, and from every database', async () => {
  await world.server.query('create database brief');
  const { plan, name } = await grant({ database: 'brief', createIn: ['public'] });
  await world.server.query('drop database brief');
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  await world.server.query('create database shut');
  const closed = await grant({ database: 'shut', createIn: ['public'] });
  await world.server.query('alter database shut allow_connections false');
  const stuck = await world.connector.withdraw(closed.plan);
  assert.equal(stuck.gone, false);
  assert.match(JSON.stringify(stuck.evidence['problems']), /not currently accepting connections/);
  await world.server.query('alter database shut allow_connections true');
  assert.equal((await world.connector.withdraw(closed.plan)).gone, true);
  assert.ok(!(await exists(name)) && !(await exists(closed.name)));
});

test('Brevet may pass on single privileges only: a sequence or columns given are no obstacle to the removal', async () => {
  await world.sql(`create role giver login createrole password 'giver'; grant connect on database orders to giver with grant option;
    grant usage on schema sales, hr to giver with grant option; grant select, insert on sales.orders to giver with grant option;
    grant usage on sequence sales.orders_id_seq to giver with grant option; grant select (id, name) on hr.people to giver with grant option`);
  const target = { ...world.target, credential: 'giver', config: { ...world.target.config, user: 'giver' } };
  const before = await world.fingerprint();
  const { plan, name } = await grant({ database: 'orders', verbs: ['select', 'insert'], tables: ['sales.orders'] }, { target });
  const columns = await grant({ database: 'orders', verbs: ['select'], columns: { 'hr.people': ['id', 'name'] } }, { target });
  for (const part of [plan, columns.plan]) assert.equal((await world.connector.withdraw(part)).gone, true);
  assert.equal(await exists(name), false);
  assert.equal(await world.fingerprint(), before);
});
