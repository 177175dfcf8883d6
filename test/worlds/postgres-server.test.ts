import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer } from './postgres-server.ts';

test('a test server starts, survives a kill on the same data, and leaves nothing', async () => {
  await using server = await startTestServer();
  await server.query('create table kept (n int); insert into kept values (7)');
  await server.kill();
  await server.start();
  assert.equal((await server.query('select n from kept')).rows[0].n, 7);
});
