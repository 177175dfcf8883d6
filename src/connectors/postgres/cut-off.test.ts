import assert from 'node:assert/strict';
import { after, before, test as declare } from 'node:test';
import type { PartPlan } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type OpenSession, type PostgresTarget } from '#test/worlds/postgres-target.ts';

/** What these attacks hold on to they would hold for ever. */
const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 30_000 }, work);

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget({ conf: ['max_prepared_transactions = 10'] });
  await world.sql(`create role ada login password 'ada'; create role other login password 'other'; create role lent;
    grant usage on schema hr to lent; grant select on hr.secrets to lent`);
});
after(() => world[Symbol.asyncDispose]());

const SCOPE = { database: 'orders', access: 'read-write', tables: ['sales.orders'] };
async function grant(more: object = {}) {
  const plan = world.plan({ ...SCOPE, ...more } as never);
  const { secret } = await world.connector.provision(plan, yes);
  return { plan, name: plan.objectName, secret: secret ?? '' };
}
async function raise(account = 'ada') {
  const bare = world.plan({ database: 'orders', verbs: ['select'], tables: ['hr.people'], roles: ['lent'] }, { kind: 'temporary_elevation', account });
  const plan = { ...bare, prior: await world.connector.prepare(bare) };
  await world.connector.provision(plan, yes);
  return plan;
}
const lock = (key: string, how = 'pg_advisory_lock') => `select ${how}(hashtextextended('${key}', 0))`;
async function isGone(plan: PartPlan): Promise<void> {
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.equal((await world.sql('select from pg_roles where rolname = $1', [plan.objectName])).length, 0);
}
async function isCut(session: OpenSession): Promise<void> {
  await session.lost;
  await assert.rejects(session.query('select 1'));
}

test('B10: a stranger holds the advisory locks that Brevet takes: removals and activations go on', async () => {
  for (const how of ['pg_advisory_lock', 'pg_advisory_lock_shared']) {
    const { plan, name, secret } = await grant();
    await using own = await world.session(name, secret);
    await using stranger = await world.session('other', 'other');
    await stranger.query(`${lock(`brevet account ${name}`, how)}; ${lock('brevet acl', how)}`);
    await isGone(plan);
    await isCut(own);
    const next = await grant();
    await isGone(next.plan);
    await stranger.query('select 1');
  }
});

test('B10: a prepared transaction of a stranger\'s holds the advisory lock', async () => {
  const { plan, name } = await grant();
  await using stranger = await world.session('other', 'other');
  await stranger.query(`begin; ${lock(`brevet account ${name}`, 'pg_advisory_xact_lock')}; prepare transaction 'strange'`);
  await isGone(plan);
  await stranger.query(`rollback prepared 'strange'`);
});

test('B03, B10: a loop that catches its cancellation, and holds the lock, is ended', async () => {
  const { plan, name, secret } = await grant();
  await using own = await world.session(name, secret);
  void own.query(`do $$ begin perform pg_advisory_lock(hashtextextended('brevet account ${name}', 0));
    loop begin insert into sales.orders (customer) values ('still here'); perform pg_sleep(0.1); exception when query_canceled then null; end; end loop; end $$`).catch(() => undefined);
  while ((await world.sql("select from pg_locks where locktype = 'advisory'")).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await world.sql('select pg_cancel_backend(pid) from pg_stat_activity where usename = $1', [name]);
  await isGone(plan);
  await isCut(own);
});

test('B10: an account holds the rows that must change: its own password, in a transaction open or prepared', async () => {
  const open = await grant();
  await using own = await world.session(open.name, open.secret);
  await own.query(`begin; alter role current_user password 'mine'`);
  await isGone(open.plan);
  await isCut(own);
  const { plan, name, secret } = await grant();
  await using gone = await world.session(name, secret);
  await gone.query(`begin; alter role current_user password 'mine'; prepare transaction 'mine'`);
  await isGone(plan);
  assert.equal((await world.sql('select from pg_prepared_xacts')).length, 0);
});

test('B10: the account that is raised holds the rows of the role that raises it, or the lock', async () => {
  const ways = [
    (name: string) => `begin; set role ${name}; alter role current_user password 'mine'`, (name: string) => lock(`brevet account ${name}`),
    (name: string) => `begin; set role ${name}; alter role current_user password 'mine'; reset role; prepare transaction 'hers'`,
  ];
  for (const way of ways) {
    const plan = await raise();
    await using session = await world.session('ada', 'ada');
    await session.query(way(plan.objectName));
    await isGone(plan);
    await isCut(session);
    assert.ok(!(await world.psql('ada', 'ada', 'select * from hr.people')).ok);
  }
});

test('B10: one who is a member no more holds the row; an administrator who holds it is waited for', async () => {
  const plan = await raise();
  await world.sql(`grant ${plan.objectName} to other`);
  await using former = await world.session('other', 'other');
  await former.query(`set role ${plan.objectName}; begin; alter role current_user password 'mine'`);
  await world.sql(`revoke ${plan.objectName} from other`);
  await isGone(plan);
  await isCut(former);

  const held = await raise();
  await using session = await world.session('ada', 'ada');
  await session.query('set role lent');
  await using administrator = await world.session('postgres', world.server.password);
  await administrator.query(`begin; alter role ${held.objectName} connection limit 3`);
  const blocked = await world.connector.withdraw(held);
  assert.equal(blocked.gone, false);
  assert.match(JSON.stringify(blocked.evidence['problems']), /lock timeout/);
  await isCut(session);
  assert.ok(!(await world.psql('ada', 'ada', 'select * from hr.people')).ok, 'the membership went by itself');
  await administrator.query('rollback');
  await isGone(held);
});

test('B10: sessions that come back at once, as long as they can, do not outlast it', async () => {
  const { plan, name, secret } = await grant();
  const over = new AbortController();
  const hold = async () => {
    while (!over.signal.aborted) {
      await using session = await world.session(name, secret).catch(() => null) as OpenSession;
      await session?.query(`begin; alter role current_user password '${secret}'`).catch(() => undefined);
      await Promise.race([session?.lost, new Promise((resolve) => setTimeout(resolve, session ? 500 : 5))]);
    }
  };
  const holders = Array.from({ length: 6 }, hold);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await isGone(plan).finally(() => over.abort());
  await Promise.all(holders);
});

test('B04: an account with members is not raised, nor one that nobody signs in to; members that it gets meanwhile are lowered too', async () => {
  await world.sql(`create role team nologin; create role bob login password 'bob'; create role squad; grant squad to bob; create role cleo login; grant cleo to squad`);
  await assert.rejects(raise('cleo'), (error) => error instanceof Refusal && error.code === 'dangerous_scope' && /bob, squad/.test(error.message));
  await assert.rejects(raise('team'), (error) => error instanceof Refusal && error.code === 'target_refused' && /NOLOGIN/.test(error.message));
  const plan = await raise();
  await world.sql('grant ada to squad');
  await using session = await world.session('bob', 'bob');
  await session.query('set role lent; select * from hr.secrets');
  await using running = await world.session('bob', 'bob');
  const cut = running.query('select pg_sleep(20) from hr.people').then(() => 'answered', (error: Error) => error.message);
  await isGone(plan);
  await isCut(session);
  assert.match(await cut, /terminat/);
  await world.sql('revoke ada from squad');
});

test('B12: an account that is being made is not taken for gone, though a stranger holds the lock before and after', async () => {
  const plan = world.plan(SCOPE);
  let asked = () => undefined as void;
  const claimed = new Promise<void>((resolve) => (asked = resolve));
  let answer = (_yes: boolean) => undefined as void;
  const made = world.connector.provision(plan, () => new Promise<boolean>((resolve) => { answer = resolve; asked(); }));
  await claimed;
  await using stranger = await world.session('other', 'other');
  const waiting = stranger.query(lock(`brevet account ${plan.objectName}`));
  const removed = world.connector.withdraw(plan);
  await new Promise((resolve) => setTimeout(resolve, 200));
  answer(true);
  await made;
  assert.equal((await removed).gone, true);
  assert.equal((await removed).evidence['found'], true);
  await waiting;
  await assert.rejects(world.connector.provision(plan, yes), /lock timeout/);
});

declare('B10: the same where Brevet is no superuser, and may signal no others', { timeout: 60_000 }, async () => {
  await using modest = await startPostgresTarget({ admin: 'createrole' });
  await modest.sql(`create role other login password 'other'`);
  for (const way of [`begin; alter role current_user password 'mine'`, 'strange']) {
    const plan = modest.plan(SCOPE);
    const { secret } = await modest.connector.provision(plan, yes);
    await using own = await modest.session(plan.objectName, secret ?? '');
    await using stranger = await modest.session('other', 'other');
    if (way === 'strange') await stranger.query(`${lock(`brevet account ${plan.objectName}`)}; ${lock('brevet acl')}`);
    else await own.query(way);
    const taken = await modest.connector.withdraw(plan);
    assert.equal(taken.gone, true, JSON.stringify(taken));
    await isCut(own);
    await stranger.query('select 1');
  }
});
