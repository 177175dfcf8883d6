import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { newOneTimeSecret } from '#signin/one-time.ts';
import { scramVerifier } from '#signin/scram.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';

const random = { bytes: (count: number) => randomBytes(count) };

test('a real PostgreSQL takes our verifier, and a real psql signs in with the token behind it', async () => {
  await using server = await startTestServer();
  const token = newOneTimeSecret('connection_token', random);
  const { iterations, salt, storedKey, serverKey } = scramVerifier(token, random);
  await server.query(`create role visitor login password 'SCRAM-SHA-256$${iterations}:${salt}$${storedKey}:${serverKey}'`);
  const signIn = (password: string) =>
    promisify(execFile)(`${server.bin}/psql`, ['-XAt', '-h', server.host, '-p', String(server.port), '-U', 'visitor', '-d', 'postgres', '-c', 'select current_user'], {
      env: { PGPASSWORD: password },
    });
  assert.equal((await signIn(token)).stdout.trim(), 'visitor');
  await assert.rejects(signIn(newOneTimeSecret('connection_token', random)), /password authentication failed/);
});
