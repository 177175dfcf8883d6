/**
 * The PostgreSQL connector on the oldest and the newest server at hand, signed in as a superuser and as a mere
 * CREATEROLE role: what differs between 15 and 18 is who may grant a membership, end a session and drop a role.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '#domain/json.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';
import { debianBin, embeddedBin } from '#test/worlds/postgres-server.ts';

for (const [version, bin] of [['Debian\'s', debianBin], ['18', embeddedBin]] as const) {
  for (const admin of ['superuser', 'createrole'] as const) {
    test(`PostgreSQL ${version}, Brevet as ${admin}: every kind of grant comes, works, and goes without a trace`, { timeout: 60_000 }, async () => {
      await using world = await startPostgresTarget({ bin: await bin(), admin, conf: ['max_prepared_transactions = 5', 'authentication_timeout = 1s'] });
      await world.sql("create role lent; grant select on hr.secrets to lent; grant usage on schema hr to lent; create role ada login password 'ada'; grant usage on schema sales to ada");
      if (admin === 'createrole' && world.server.bin !== (await debianBin())) await world.sql('grant lent to brevet_admin with admin option');
      await account(world);
      if (admin === 'createrole') {
        const plan = world.plan({ roles: ['lent'] }, { kind: 'temporary_elevation', account: 'ada' });
        await assert.rejects(world.connector.prepare(plan), /could not end the sessions/);
        await world.sql('grant pg_signal_backend, pg_read_all_stats to brevet_admin');
      }
      await elevation(world);
      await brokered(world, admin === 'createrole');
      assert.deepEqual(await world.connector.listOwned(world.target), []);
    });
  }
}

async function account(world: PostgresTarget): Promise<void> {
  const before = await world.fingerprint();
  const plan = world.plan({ database: 'orders', access: 'read-write', tables: ['sales.orders', 'sales.lines'], functions: ['sales.close_month'], createIn: ['sales'], roles: ['lent'] });
  await world.connector.provision(plan, yes);
  const { secret } = await world.connector.provision({ ...plan, fence: 2 }, yes);
  await using session = await world.session(plan.objectName, secret ?? '');
  await session.query("insert into sales.orders (customer) values ('new'); insert into sales.lines (what) values ('x'); select sales.close_month(1); set role lent; select * from hr.secrets; reset role");
  await assert.rejects(session.query('select * from hr.people'), /permission denied/);
  await session.query("create table sales.mine (n int); grant all on sales.mine to public; create function sales.door() returns int language sql security definer as 'select 1'");
  await using raised = await world.session(plan.objectName, secret ?? '');
  await raised.query('set role lent');
  await using preparing = await world.session(plan.objectName, secret ?? '');
  await preparing.query('begin; update sales.orders set total = 0');
  await preparing.query("prepare transaction 'later'");
  const taken = await world.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.deepEqual([taken.evidence['sessionsEnded'], taken.evidence['preparedRolledBack'], taken.residue.length >= 2], [3, 1, true]);
  await assert.rejects(raised.query('select * from hr.secrets'));
  assert.deepEqual(await world.sql("select relacl::text, pg_get_userbyid(relowner) = 'brevet_estate_0123456789abcdef' as ours from pg_class where relname = 'mine' and relacl::text !~ '(^|,|\\{)=' "), [
    { relacl: (await world.sql("select relacl::text from pg_class where relname = 'mine'"))[0]?.['relacl'], ours: true },
  ]);
  await world.sql('drop table sales.mine; drop function sales.door');
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
}

async function elevation(world: PostgresTarget): Promise<void> {
  const before = await world.fingerprint();
  const bare = world.plan({ database: 'orders', verbs: ['update', 'select'], tables: ['sales.orders'], roles: ['lent'] }, { kind: 'temporary_elevation', account: 'ada' });
  const plan = { ...bare, prior: await world.connector.prepare(bare) };
  await world.connector.provision(plan, yes);
  assert.ok((await world.psql('ada', 'ada', 'update sales.orders set total = 1 where id = 1; select * from hr.secrets')).ok);
  await using session = await world.session('ada', 'ada');
  await session.query('set role lent');
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue], [true, []], JSON.stringify(taken));
  await assert.rejects(session.query('select * from hr.secrets'));
  assert.equal(await world.fingerprint(), before);
}

/** A mere CREATEROLE role may not read verifiers: it tries the stored password by signing in. */
async function brokered(world: PostgresTarget, modest: boolean): Promise<void> {
  await world.sql("create role app login password 'of-app' connection limit 2; alter role app set search_path = sales, public");
  const bare = world.plan({ database: 'orders' }, { kind: 'brokered_session', account: 'app', accountCredential: 'of-app' });
  if (modest && world.server.bin !== (await debianBin())) {
    await assert.rejects(world.connector.prepare(bare), /could not put back the password/);
    await world.sql('grant app to brevet_admin with admin true, inherit false, set false');
  }
  const before = await world.fingerprint();
  await assert.rejects(world.connector.prepare({ ...bare, accountCredential: 'another' }), /is not the one that it has/);
  const plan = { ...bare, prior: await world.connector.prepare(bare) };
  await world.connector.provision(plan, yes);
  {
    await using kept = await world.session('app', 'of-app');
    await using full = await world.session('app', 'of-app');
    assert.equal((await world.connector.withdraw(plan)).gone, true, 'with no session to spare for it, the password is known to be right');
    await kept.query("alter role app password 'mine-now'; alter role app reset search_path");
    await full.query('select 1');
  }
  await using past = await world.session('app', 'mine-now');
  const taken = await world.connector.withdraw(plan);
  assert.deepEqual(taken.residue.map((item) => (item as { kind: string }).kind), ['password_changed', 'settings_changed'], JSON.stringify(taken));
  await past.lost;
  const end = async (found: readonly Json[]): Promise<boolean> => {
    for (let tries = 0; tries < 20; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const { gone, residue } = await world.connector.withdraw({ ...plan, prior: { ...plan.prior, found: [...found] } });
      if (gone) return true;
      found = [...found, ...residue]; // as the reconciler does
    }
    return false;
  };
  assert.deepEqual([await end(taken.residue), (await world.psql('app', 'of-app', 'select 1')).ok, (await world.psql('app', 'mine-now', 'select 1')).ok], [true, true, false]);
  assert.equal(await world.fingerprint(), before);

  // An administrator closes the account for good: the removal does not wait for a sign-in that can't be.
  await world.sql("alter role app valid until '2020-01-01' password 'mine-now'");
  assert.equal(await end([]), true);
  await world.sql("alter role app valid until 'infinity'");
  assert.ok((await world.psql('app', 'of-app', 'select 1')).ok);
}

test('PostgreSQL 18: a membership held in a lesser form is raised, and lowered again to what it was', { timeout: 60_000 }, async () => {
  await using world = await startPostgresTarget({ bin: await embeddedBin() });
  await world.sql(`create role team; create role ada login password 'ada'; create role other; grant other to ada;
    grant team to ada with inherit false, set false; grant select on hr.secrets to team; grant usage on schema hr to team`);
  const before = await world.fingerprint();
  assert.ok(!(await world.psql('ada', 'ada', 'select * from hr.secrets')).ok);
  const bare = world.plan({ roles: ['team'] }, { kind: 'temporary_elevation', account: 'ada' });
  const plan = { ...bare, prior: await world.connector.prepare(bare) };
  await world.connector.provision(plan, yes);
  assert.ok((await world.psql('ada', 'ada', 'select * from hr.secrets; set role team')).ok);
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  assert.equal(await world.fingerprint(), before);
  const maintaining = world.plan({ database: 'orders', verbs: ['select', 'maintain'], schemas: ['sales'] });
  const { secret } = await world.connector.provision(maintaining, yes);
  assert.ok((await world.psql(maintaining.objectName, secret ?? '', 'analyze sales.orders')).ok);
  assert.equal((await world.connector.withdraw(maintaining)).gone, true);
});
