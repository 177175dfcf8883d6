import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PoolClient } from 'pg';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';
import { testDatabase, type TestDatabase } from '#test/worlds/database.ts';
import { migrate } from './migrate.ts';

/** A folder of migrations: each text becomes `000n-step.sql`. */
async function folderOf(...texts: string[]) {
  const path = await mkdtemp(join(tmpdir(), 'brevet-migrations-'));
  const file = (number: number) => join(path, `000${number}-step.sql`);
  for (const [at, text] of texts.entries()) await writeFile(file(at + 1), text);
  return { path, file, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function emptyDatabase(): Promise<TestDatabase> {
  await using none = await folderOf();
  return await testDatabase({ migrations: none.path });
}

async function on<T>(db: TestDatabase, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  return work(client).finally(() => client.release());
}

const refusal = (code: RefusalCode, text: RegExp) => (error: unknown) => error instanceof Refusal && error.code === code && text.test(`${error.message} ${error.details.hint ?? ''} ${error.details.field ?? ''}`);

test('applies what is missing, once, however many servers start at once', async () => {
  await using db = await emptyDatabase();
  await using folder = await folderOf('create table brevet.a (n int); select pg_sleep(0.05);', 'create table brevet.b (n int)');
  const done = await Promise.all(Array.from({ length: 8 }, () => on(db, (client) => migrate(client, folder.path, '1.2.3'))));
  assert.deepEqual(done.flat().sort(), ['0001-step', '0002-step']);
  const { rows } = await db.pool.query('select number, name, applied_by, sha256 from brevet.migrations order by number');
  assert.deepEqual(rows.map((row) => [row.number, row.name, row.applied_by, row.sha256.length]), [[1, '0001-step', '1.2.3', 64], [2, '0002-step', '1.2.3', 64]]);
});

test('a migration that fails leaves no trace, and says where', async () => {
  await using db = await emptyDatabase();
  await using folder = await folderOf('create table brevet.a (n int)', 'create table brevet.b (n int);\n\ncreate tabel brevet.c ()');
  await assert.rejects(on(db, (client) => migrate(client, folder.path)), refusal('internal', /0002-step failed.*syntax.*0002-step\.sql:3/));
  const { rows } = await db.pool.query(`select to_regclass('brevet.a') is not null as a, to_regclass('brevet.b') is not null as b`);
  assert.deepEqual(rows, [{ a: true, b: false }]);
  await writeFile(folder.file(2), 'create table brevet.b (n int)');
  assert.deepEqual(await on(db, (client) => migrate(client, folder.path)), ['0002-step']);
});

test('a changed file, a newer database and a gap are refused, and nothing is touched', async () => {
  await using db = await emptyDatabase();
  await using folder = await folderOf('create table brevet.a (n int)', 'create table brevet.b (n int)');
  await on(db, (client) => migrate(client, folder.path, '2.0.0'));
  await using older = await folderOf('create table brevet.a (n int)');
  await assert.rejects(on(db, (client) => migrate(client, older.path, '1.0.0')), refusal('unsupported', /has migration 0002-step.*ends at 0001-step.*Brevet 2\.0\.0 or newer/));
  await writeFile(folder.file(1), 'create table brevet.a (n bigint)');
  await writeFile(folder.file(3), 'create table brevet.c (n int)');
  await assert.rejects(on(db, (client) => migrate(client, folder.path)), refusal('invalid_configuration', /0001-step has changed/));
  await rename(folder.file(2), folder.file(4));
  await assert.rejects(on(db, (client) => migrate(client, folder.path)), refusal('invalid_configuration', /0003-step\.sql/));
  assert.equal((await db.pool.query(`select to_regclass('brevet.c') is null as untouched`)).rows[0].untouched, true);
});
