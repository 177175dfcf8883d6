import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { storeUrl, testDatabase } from './database.ts';

const run = promisify(execFile);

test('each database is its own, migrated, and gone afterwards', async () => {
  let name: string;
  await using other = await testDatabase();
  {
    await using db = await testDatabase();
    name = db.name;
    await db.pool.query('create table brevet.mine ()');
    assert.ok((await db.pool.query('select from brevet.migrations')).rowCount);
    assert.equal((await other.pool.query(`select to_regclass('brevet.mine') as mine`)).rows[0].mine, null);
    assert.equal((await other.pool.query('select from pg_database where datname = $1', [name])).rowCount, 1);
  }
  assert.equal((await other.pool.query('select from pg_database where datname = $1', [name])).rowCount, 0);
});

test('a connection left open fails the test', async () => {
  const db = await testDatabase();
  const leak = new Client(db.connectionOptions);
  leak.on('error', () => undefined);
  await leak.connect();
  await leak.query('select 42');
  await assert.rejects(async () => db[Symbol.asyncDispose](), /1 connections .* left open: .*select 42/);
});

test('what a killed run left is swept by the next', async () => {
  await using db = await testDatabase();
  // The child works on this server, and kills itself without disposing.
  const script = `
    const { testDatabase } = await import(${JSON.stringify(import.meta.resolve('./database.ts'))});
    const db = await testDatabase();
    console.log(db.name);
    process.kill(process.pid, 'SIGKILL');`;
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, TEST_DATABASE_URL: await storeUrl() };
  const output = () => run(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script], { env })
    .then(({ stdout }) => stdout, (error: { stdout: string }) => error.stdout);
  const left = /brevet_test_[0-9a-f]+/.exec(await output())?.[0];
  assert.ok(left);
  const exists = async () => (await db.pool.query('select from pg_database where datname = $1', [left])).rowCount;
  assert.equal(await exists(), 1);
  await output();
  assert.equal(await exists(), 0);
  // Ours is in use and stays.
  assert.equal((await db.pool.query('select 1 as one')).rows[0].one, 1);
});
