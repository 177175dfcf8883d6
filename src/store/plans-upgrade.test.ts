import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testDatabase } from '#test/worlds/database.ts';
import { migrate } from './migrate.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

test('a database that was analysed before: no column is left with statistics that never change again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-migrations-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  for (const file of (await readdir(MIGRATIONS)).filter((name) => name < '0006')) await copyFile(join(MIGRATIONS, file), join(folder, file));
  const db = stack.use(await testDatabase({ migrations: folder }));
  await db.pool.query("set session_replication_role = replica; insert into brevet.grant_parts (id, grant_id, ordinal, target_id, kind, scope, object_name, state, fence) select 'prt_' || n, 'grt_' || n, 0, 'tgt_1', 'ephemeral_account', '{}', 'o' || n, 'absent', 1 from generate_series(1, 100) n");
  await db.pool.query('analyze brevet.grant_parts');
  const client = await db.pool.connect();
  await migrate(client, MIGRATIONS).finally(() => client.release());
  await db.pool.query('analyze brevet.grant_parts; analyze brevet.grants');
  const { rows } = await db.pool.query<{ version: number; frozen: string[]; left: number }>(
    `select current_setting('server_version_num')::integer / 10000 as version, count(*) filter (where a.attstattarget = 0)::integer as left,
            coalesce(array_agg(a.attname::text) filter (where a.attstattarget = 0 and s.attname is not null), '{}') as frozen
       from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relnamespace = 'brevet'::regnamespace and c.relname in ('grant_parts', 'grants') and a.attnum > 0
       left join pg_stats s on s.schemaname = 'brevet' and s.tablename = c.relname and s.attname = a.attname`);
  assert.deepEqual(rows[0]?.frozen, []);
  // What had statistics can be cleared of them from 18 on only.
  assert.equal(rows[0]?.left, rows[0] && rows[0].version >= 18 ? 9 : 3);
});
