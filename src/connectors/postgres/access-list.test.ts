import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Client } from 'pg';
import { Refusal } from '#domain/refusal.ts';
import { embeddedBin, startTestServer, type TestServerOptions } from '#test/worlds/postgres-server.ts';
import { startPostgresTarget, yes } from '#test/worlds/postgres-target.ts';
import { entriesOf } from './access-list.ts';

/** A table with so many roles in its access list, one whose list is empty, and one without a list. */
const TABLES = `
create table crowded (n int); create table closed (n int); create table plain (n int);
revoke all on closed from current_user;
do $$ declare roles text; begin
  for n in 1..2000 loop execute 'create role standing_' || n; end loop;
  select string_agg('standing_' || n, ', ') into roles from generate_series(1, 2000) n;
  execute 'grant select, insert on crowded to ' || roles;
end $$`;

async function bestOf(times: number, work: () => Promise<unknown>): Promise<number> {
  let best = Infinity;
  for (let n = 0; n < times; n++) {
    const began = performance.now();
    await work();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

const VERSIONS: readonly [string, () => Promise<TestServerOptions>][] = [
  ['Debian\'s PostgreSQL', () => Promise.resolve({})],
  ['the newest PostgreSQL', async () => ({ bin: await embeddedBin() })],
];
for (const [name, options] of VERSIONS) {
  test(`${name}: the entries are those of aclexplode, and many are not dear`, async () => {
    await using server = await startTestServer(await options());
    const client = new Client({ connectionString: server.url() });
    await client.connect();
    try {
      await client.query(TABLES);
      const read = async (entries: string, table: string) => (await client.query(`select a.* from pg_class c, ${entries} a where c.oid = $1::regclass`, [table])).rows;
      for (const [table, atLeast, atMost] of [['crowded', 4001, 4100], ['closed', 0, 0], ['plain', 0, 0]] as const) {
        const rows = await read(entriesOf('c.relacl'), table);
        assert.deepEqual(rows, await read('aclexplode(c.relacl)', table), table);
        assert.ok(rows.length >= atLeast && rows.length <= atMost, `${table}: ${rows.length}`);
      }
      const count = (entries: string) => () => client.query(`select count(*) from pg_class c, ${entries} a where c.oid = 'crowded'::regclass`);
      const [ours, theirs] = [await bestOf(5, count(entriesOf('c.relacl'))), await bestOf(5, count('aclexplode(c.relacl)'))];
      assert.ok(ours * 3 < theirs, `${ours} ms, and ${theirs} ms by aclexplode: it need not be gone round any more`);
    } finally {
      await client.end();
    }
  });
}

test('a table whose access list is full: refused with what to do, a lent role goes on, and removals make room', async () => {
  await using world = await startPostgresTarget({ admin: 'createrole' });
  const scope = { database: 'orders', access: 'read-only', tables: ['hr.people'] };
  const stands = world.plan(scope);
  await world.connector.provision(stands, yes);
  await world.sql('create role reader; grant usage on schema hr to reader; grant select on hr.people to reader');
  await world.sql(`do $$ begin
    for n in 1..4000 loop
      execute format('create role standing_%s', n);
      begin execute format('grant select on hr.people to standing_%s', n); exception when program_limit_exceeded then exit; end;
    end loop; end $$`);
  const refused = await world.connector.provision(world.plan(scope), yes).then(() => null, (error: unknown) => error);
  assert.ok(refused instanceof Refusal && refused.code === 'target_refused', String(refused));
  assert.match(String(refused.details.hint), /room for some 2,400 roles.*lend a role/);

  const lent = world.plan({ database: 'orders', roles: ['reader'] });
  const { secret } = await world.connector.provision(lent, yes);
  assert.deepEqual(await world.psql(lent.objectName, secret ?? '', 'select count(*) from hr.people'), { ok: true, text: '2' });
  for (const plan of [lent, stands]) assert.equal((await world.connector.withdraw(plan)).gone, true);
  const next = world.plan(scope);
  await world.connector.provision(next, yes);
  assert.equal((await world.connector.withdraw(next)).gone, true);
});

test('no statement of the connector reads an access list by itself', async () => {
  const folder = new URL('.', import.meta.url);
  const files = (await readdir(folder)).filter((file) => !file.startsWith('access-list.'));
  for (const file of files) assert.doesNotMatch(await readFile(new URL(file, folder), 'utf8'), /aclexplode/, file);
});
