import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '#test/worlds/database.ts';
import { SEALED_COLUMNS } from './sealed-columns.ts';

/** Columns of bytes that hold nothing sealed, and what they hold. Whatever is new is sealed, or stands here with its reason. */
const PLAIN: Readonly<Record<string, string>> = {
  'sign_in_links.verifier': 'a hash of a one-time secret',
  'log_entries.leaf': 'the public hash of an entry',
  'log_tiles.hashes': 'public hashes of the tree',
};

test('every column of bytes is sealed and rotated, or known to hold nothing secret', async () => {
  await using db = await testDatabase();
  const { rows } = await db.pool.query<{ name: string }>(
    `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'brevet' and data_type = 'bytea'`);
  assert.deepEqual(rows.map(({ name }) => name).sort(), [...SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`), ...Object.keys(PLAIN)].sort());
});

test('every sealed column tells its root key, refers to the known ones, and is found by its primary key', async () => {
  await using db = await testDatabase();
  for (const { table, column, under, key } of SEALED_COLUMNS) {
    const { rows } = await db.pool.query<{ made: string; refers: boolean; key: string[] }>(
      `select (select generation_expression from information_schema.columns where table_schema = 'brevet' and table_name = $1 and column_name = $2) as made,
              exists (select from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                       where c.contype = 'f' and c.confrelid = 'brevet.root_keys'::regclass and c.conrelid = ('brevet.' || $1)::regclass and a.attname = $2) as refers,
              (select array_agg(a.attname::text order by p.at) from pg_index i cross join lateral unnest(i.indkey) with ordinality p (attnum, at)
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = p.attnum where i.indisprimary and i.indrelid = ('brevet.' || $1)::regclass) as key`,
      [table, under]);
    assert.ok(rows[0]?.made.includes(`(${column} FROM 2 FOR 8)`), `${table}.${under}: ${rows[0]?.made}`);
    assert.deepEqual([rows[0]?.refers, rows[0]?.key], [true, key], `${table}.${column}`);
  }
});
