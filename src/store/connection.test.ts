import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';
import { withConnection } from './connection.ts';
import { openPool } from './pool.ts';
import { refusalFor } from './refuse.ts';
import { sqlOn } from './sql.ts';

test('a statement that nobody answers is given up with its connection, and the store counts as unavailable', async () => {
  await using server = await startTestServer();
  const pool = openPool({ connection: server.url(), max: 4, answerMs: 700 });
  pool.on('error', () => undefined);
  try {
    const ask = () => withConnection(pool, (client) => sqlOn(client).row<{ pid: number }>('select pg_backend_pid() as pid'));
    const before = await ask();
    await server.pause();
    const asked = performance.now();
    const error: unknown = await ask().catch((thrown: unknown) => thrown);
    assert.ok(performance.now() - asked < 3000);
    const refusal = refusalFor(error);
    assert.ok(refusal instanceof Refusal && refusal.code === 'unavailable');
    await server.resume();
    assert.notEqual((await ask())?.pid, before?.pid, 'a connection with an answer still to come is not used again');
    await withConnection(pool, async (client) => assert.ok(await sqlOn(client, 5000).row('select pg_sleep(1.5)'), 'who needs longer may say so'));
  } finally {
    await pool.end();
  }
});
