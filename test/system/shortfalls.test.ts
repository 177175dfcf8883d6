/** What Brevet's role lacks for a part is found before a grant meets it, on the oldest and the newest server at hand; the SQL mends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartPlan } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { debianBin, embeddedBin } from '#test/worlds/postgres-server.ts';
import { startPostgresTarget, yes } from '#test/worlds/postgres-target.ts';

interface Case {
  /** What a superuser of the target did. */
  readonly lacking: string;
  readonly scope: JsonObject;
  readonly more?: Partial<PartPlan>;
  readonly message: RegExp;
  /** Only from PostgreSQL 16 on is it lacking. */
  readonly new?: true;
}

const ORDERS = { database: 'orders', verbs: ['select', 'insert'], tables: ['sales.orders'] };
const CASES: Readonly<Record<string, Case>> = {
  'no right to make roles': { lacking: 'alter role brevet_admin nocreaterole', scope: ORDERS, message: /may not make roles \(NOCREATEROLE\)/ },
  'a table and its sequence of somebody else\'s': { lacking: 'alter table sales.orders owner to postgres', scope: ORDERS, message: /may not pass on select on table sales\.orders, insert on table sales\.orders, usage on sequence sales\.orders_id_seq \(no grant option\)/ },
  'a table on which it may do everything, and pass on nothing': { lacking: 'alter table sales.lines owner to postgres; grant all on sales.lines to brevet_admin', scope: { ...ORDERS, tables: ['sales.lines'] }, message: /insert on table sales\.lines \(no grant option\)/ },
  'a schema and columns of somebody else\'s': { lacking: 'alter table hr.people owner to postgres; alter schema hr owner to postgres', scope: { database: 'orders', verbs: ['select'], columns: { 'hr.people': ['id', 'name'] } }, message: /usage on schema hr, select on column hr\.people \(id\), select on column hr\.people \(name\)/ },
  'functions': { lacking: 'alter function sales.close_month(int) owner to postgres', scope: { database: 'orders', functions: ['sales.close_month'] }, message: /execute on routine sales\.close_month\(integer\) \(/ },
  'a schema to create in': { lacking: 'create schema scratch; grant usage on schema scratch to brevet_admin with grant option', scope: { database: 'orders', createIn: ['scratch'] }, message: /create on schema scratch/ },
  'the database itself': { lacking: 'revoke connect on database orders from public; alter database orders owner to postgres; grant connect on database orders to brevet_admin', scope: ORDERS, message: /connect on database orders/ },
  'a role to lend that is not there': { lacking: 'select 1', scope: { database: 'orders', roles: ['Nobody yet'] }, message: /there is no role Nobody yet on the target/ },
  'a role to lend of somebody else\'s': { lacking: 'create role helpers', scope: { database: 'orders', roles: ['helpers'] }, message: /may not lend role helpers \(no admin option\)/, new: true },
  'sessions that could not be ended': { lacking: "create role ada login password 'ada'", scope: { roles: ['helpers2'] }, more: { kind: 'temporary_elevation', account: 'ada' }, message: /could not end the sessions of this account/ },
  'an account that could not be put right': { lacking: "create role app login password 'app'; grant pg_signal_backend, pg_read_all_stats to brevet_admin", scope: { database: 'orders' }, more: { kind: 'brokered_session', account: 'app', accountCredential: 'app' }, message: /could not put back the password/, new: true },
};

for (const [version, bin] of [['Debian\'s', debianBin], ['18', embeddedBin]] as const) {
  test(`PostgreSQL ${version}: what is lacking is told, and with the SQL that is told it works`, { timeout: 120_000 }, async (t) => {
    await using world = await startPostgresTarget({ bin: await bin(), admin: 'createrole' });
    const isNew = (await world.sql("select current_setting('server_version_num')::int >= 160000 as is_new"))[0]?.['is_new'] === true;
    for (const [name, one] of Object.entries(CASES)) {
      await t.test(name, async () => {
        await world.sql(one.lacking);
        if (name === 'sessions that could not be ended') await world.sql(`create role helpers2; ${isNew ? 'grant helpers2 to brevet_admin with admin option' : ''}`);
        const bare = world.plan(one.scope, one.more ?? {});
        const told = () => world.connector.shortfalls(world.target, bare);
        const make = async () => {
          const plan = { ...bare, prior: JSON.parse(JSON.stringify(await world.connector.prepare(bare))) as JsonObject };
          await world.connector.provision(plan, yes);
          assert.equal((await world.connector.withdraw(plan)).gone, true);
        };
        if (one.new && !isNew) return assert.deepEqual(await told(), []);
        const found = await told();
        assert.equal(found.length, 1, JSON.stringify(found));
        assert.match(found[0]?.message ?? '', one.message);
        await assert.rejects(make());
        for (let rounds = 0; rounds < 2; rounds++) for (const { sql } of await told()) await world.sql(sql ?? 'select');
        assert.deepEqual(await told(), []);
        await make();
      });
    }
  });
}

test('a superuser lacks nothing but what is not there, and what is never lent', { timeout: 60_000 }, async () => {
  await using world = await startPostgresTarget();
  const told = async (scope: JsonObject, more: Partial<PartPlan> = {}) => (await world.connector.shortfalls(world.target, world.plan(scope, more))).map(({ message, sql, hint }) => ({ message, sql, hint: hint !== null }));
  assert.deepEqual(await told(ORDERS), []);
  assert.deepEqual(await told({ database: 'orders', verbs: ['select'], tables: ['sales.nosuch'] }), [{ message: 'there is no table sales.nosuch on the target', sql: null, hint: true }]);
  await world.sql('create role grander superuser; create role owner; alter table hr.people owner to owner');
  assert.match((await told({ roles: ['grander'] }, { kind: 'temporary_elevation', account: '{name}' }))[0]?.message ?? '', /grander is a superuser/);
  assert.match((await told({ roles: ['owner'] }, { kind: 'temporary_elevation', account: '{name}' }))[0]?.message ?? '', /owner owns objects/);
  assert.deepEqual(await told({ roles: ['owner'], ownerRoles: 'allowed' }, { kind: 'temporary_elevation', account: '{name}' }), []);
  assert.match((await told({ database: 'nosuch', verbs: ['select'], tables: ['a.b'] }))[0]?.message ?? '', /database "nosuch" does not exist/);
  await world.server.stop();
  await assert.rejects(told(ORDERS), /does not answer/);
});
