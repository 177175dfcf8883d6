/** What a session, or a stranger on the same server, does so that the account can't be put back. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test as declare } from 'node:test';
import type { PartPlan, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type OpenSession, type PostgresTarget } from '#test/worlds/postgres-target.ts';

const test = (name: string, work: () => Promise<void>) => declare(name, { timeout: 60_000 }, work);
const MINE = "alter role current_user password 'mine-now'";

/** Brevet as a superuser, and as a role that may make roles. */
let world: PostgresTarget;
let modest: PostgresTarget;
const worldOf = (admin: 'superuser' | 'createrole') => startPostgresTarget({ admin, conf: ['authentication_timeout = 1s', 'max_prepared_transactions = 5'], timeouts: { lock: 700 } });
before(async () => {
  [world, modest] = await Promise.all([worldOf('superuser'), worldOf('createrole')]);
  for (const each of [world, modest]) {
    await each.sql(`create role app login password 'of-app'; create role other login password 'other'; alter role app set search_path = sales, public; alter role app in database orders set work_mem = '8MB'`);
  }
  await modest.sql('grant pg_signal_backend, pg_read_all_stats to brevet_admin');
});
/** Each finds the account right, also after one that failed. */
beforeEach(async () => {
  for (const each of [world, modest]) {
    await each.sql("select pg_terminate_backend(pid, 2000) from pg_stat_activity where usename = 'app'");
    await each.sql("set lock_timeout = '5s'; alter role app password 'of-app'; alter role app reset log_statement; alter role app reset work_mem; alter role app reset plpgsql.extra_errors");
  }
});
after(() => Promise.all([world, modest].map((each) => each[Symbol.asyncDispose]())));

async function lend({ plan, connector }: PostgresTarget): Promise<PartPlan> {
  const bare = plan({ database: 'orders' }, { kind: 'brokered_session', account: 'app', accountCredential: 'of-app' });
  const lent = { ...bare, prior: JSON.parse(JSON.stringify(await connector.prepare(bare))) as JsonObject };
  await connector.provision(lent, yes);
  return lent;
}

/** One attempt, after which only the stored password is of use. */
async function putsPasswordBack(on: PostgresTarget, plan: PartPlan): Promise<Withdrawn> {
  const taken = await on.connector.withdraw(plan);
  const signsIn = async (password: string) => (await on.psql('app', password, 'select 1')).ok;
  assert.deepEqual([await signsIn('of-app'), await signsIn('mine-now')], [true, false], JSON.stringify(taken));
  assert.ok(taken.residue.some((one) => (one as JsonObject)['kind'] === 'password_changed'));
  return taken;
}

/** As the reconciler does: again, with what was found. */
async function untilGone(on: PostgresTarget, plan: PartPlan, first: Withdrawn): Promise<void> {
  let taken = first;
  for (let tries = 0; !taken.gone; tries++) {
    assert.ok(tries < 20, JSON.stringify(taken));
    await new Promise((resolve) => setTimeout(resolve, 250));
    taken = await on.connector.withdraw({ ...plan, prior: { ...plan.prior, found: [...first.residue] } });
  }
}

async function changedBy(on: PostgresTarget, sql: string): Promise<void> {
  const session = await on.session('app', 'of-app');
  await session.query(sql);
  await session.client.end();
}

test('B10: a stranger who holds Brevet\'s lock of the account, and one on pg_settings, keeps nothing from being put back', async () => {
  const before = await world.fingerprint();
  const plan = await lend(world);
  await changedBy(world, `${MINE}; alter role current_user set work_mem = '1GB'`);
  await using other = await world.session('other', 'other');
  await other.query("select pg_advisory_lock(hashtextextended('brevet account app', 0)); begin; lock table pg_catalog.pg_settings in access exclusive mode");
  await untilGone(world, plan, await putsPasswordBack(world, plan));
  assert.equal(await world.fingerprint(), before);
});

test('B10: nobody but superusers may lock a view of the catalogues, pg_settings apart', async () => {
  await using other = await world.session('other', 'other');
  const lockable: unknown[] = [];
  for (const { name } of await world.sql("select relname as name from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')")) {
    await other.query(`begin; lock table pg_catalog.${String(name)} in row exclusive mode`).then(() => lockable.push(name), () => undefined);
    await other.query('rollback');
  }
  assert.deepEqual(lockable, ['pg_settings']);
});

test('B10: an own change of the account, open, prepared or one after the other, does not stand in the way of Brevet\'s', async () => {
  const before = await world.fingerprint();
  for (const open of ["begin; alter role current_user set work_mem = '1GB'", `begin; ${MINE}`, `begin; ${MINE}; prepare transaction 'in the way'`]) {
    // From before the grant was prepared: not one of those that are ended because the password was another.
    await using old = await world.session('app', 'of-app');
    const plan = await lend(world);
    await changedBy(world, MINE);
    await old.query(open);
    const taken = await putsPasswordBack(world, plan);
    await untilGone(world, plan, taken);
  }
  assert.deepEqual([await world.fingerprint(), await world.sql('select gid from pg_prepared_xacts')], [before, []]);
});

test('B10: an account that changes itself again and again, from many sessions, is put back all the same', async () => {
  const plan = await lend(world);
  const sessions: OpenSession[] = await Promise.all(Array.from({ length: 6 }, () => world.session('app', 'of-app')));
  await sessions[0]?.query(MINE);
  // Spared: another live grant's, as long as they do not stand in the way.
  const spared = await Promise.all(sessions.map(async ({ query }) => ({ pid: Number((await query('select pg_backend_pid() as pid'))[0]?.['pid']) })));
  const flapping = sessions.map(async ({ query }) => {
    for (;;) await query(`begin; ${MINE}; select pg_sleep(0.2); commit`);
  });
  const over = Promise.allSettled(flapping);
  await putsPasswordBack(world, { ...plan, prior: { ...plan.prior, spared } });
  await over;
});

for (const [who, on] of [['a superuser', () => world], ['a role that may make roles', () => modest]] as const) {
  test(`B10, B15: as ${who}: a setting of a library that is not loaded keeps neither password nor settings from being put back`, async () => {
    const target = on();
    const before = await target.fingerprint();
    const plan = await lend(target);
    await changedBy(target, `do $$ begin end $$; alter role current_user set plpgsql.extra_errors = 'none'; alter role current_user set work_mem = '1GB'; ${MINE}`);
    await untilGone(target, plan, await putsPasswordBack(target, plan));
    assert.equal(await target.fingerprint(), before);
  });

  test(`B10, B15: as ${who}: more settings than can be told apart, or longer ones, are reset, and those from before set again`, async () => {
    const target = on();
    const many = `do $$ declare d name; s record; begin
      for d in select datname from pg_database loop for s in select name from pg_settings where context = 'user' loop
        begin execute format('alter role current_user in database %I set %s from current', d, s.name); exception when others then null; end;
      end loop; end loop; end $$`;
    for (let n = 1; n < 6; n++) await target.server.query(`create database d${n}`);
    const before = await target.fingerprint();
    for (const sql of [many, "do $$ begin execute format('alter role current_user set application_name = %L', repeat('x', 2000000)); end $$"]) {
      const plan = await lend(target);
      await changedBy(target, `${sql}; alter role current_user set plpgsql.extra_errors = 'none'; ${MINE}`);
      if (sql === many) await assert.rejects(lend(target), Refusal, 'and nobody is lent such an account');
      await untilGone(target, plan, await putsPasswordBack(target, plan));
    }
    assert.equal(await target.fingerprint(), before);
    assert.deepEqual(await target.sql("select setconfig from pg_db_role_setting where setdatabase <> 0 and setrole = 'app'::regrole"), [{ setconfig: ['work_mem=8MB'] }]);
  });
}

test('B10: a setting that Brevet may not reset is told and tried again, and the password is right meanwhile', async () => {
  const plan = await lend(modest);
  await modest.sql("alter role app set log_statement = 'all'");
  await changedBy(modest, `alter role current_user set work_mem = '1GB'; ${MINE}`);
  const first = await putsPasswordBack(modest, plan);
  assert.match(JSON.stringify(first.evidence['settingsLeft']), /log_statement: .*permission denied/);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const second = await modest.connector.withdraw({ ...plan, prior: { ...plan.prior, found: [...first.residue] } });
  assert.deepEqual([second.gone, second.evidence['passwordAsBefore'], second.residue], [false, true, []]);
  await modest.sql('alter role app reset log_statement');
  await untilGone(modest, plan, first);
});
