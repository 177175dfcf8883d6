import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KeyRing, rootKeyOf } from '#secrets/root-key.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { testDatabase } from '#test/worlds/database.ts';
import { person } from '#test/worlds/store-world.ts';
import { migrate } from './migrate.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

test('a database from before root keys were rows: they are found, the oldest first, and kept answers still open', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-migrations-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  await copyFile(join(MIGRATIONS, '0001-foundation.sql'), join(folder, '0001-foundation.sql'));
  const db = stack.use(await testDatabase({ migrations: folder }));
  const [old, newer] = [rootKeyOf(randomBytes(32)), rootKeyOf(randomBytes(32))];
  const under = (key: typeof old) => makeSecrets(new KeyRing([key]), { bytes: randomBytes });
  const { id, name } = person();
  await db.pool.query("insert into brevet.principals (id, kind, name, display_name, created_at) values ($1, 'person', $2, 'x', now())", [id, name]);
  await db.pool.query('insert into brevet.subject_keys (principal_id, sealed) values ($1, $2)', [id, under(newer).newSubjectKey(id)]);
  await db.pool.query("insert into brevet.own_keys (name, sealed, public, created_at) values ('log', $1, '', now())", [under(old).seal('x', 'own_keys/log/sealed')]);
  const answer = under(newer).seal('an answer', `idempotency/${id}/k`);
  await db.pool.query("insert into brevet.idempotency_keys (principal_id, key, body_hash, status, response, created_at) values ($1, 'k', 'h', 200, $2, now())", [id, Buffer.from(answer).toString('base64')]);

  const client = await db.pool.connect();
  await migrate(client, MIGRATIONS).finally(() => client.release());
  const { rows: keys } = await db.pool.query<{ id: string }>('select id from brevet.root_keys order by ordinal');
  assert.deepEqual(keys.map((key) => key.id), [old.id, newer.id]);
  const { rows: kept } = await db.pool.query<{ response: Buffer; response_under: string }>('select response, response_under from brevet.idempotency_keys');
  assert.deepEqual([under(newer).openText(kept[0]?.response ?? Buffer.alloc(0), `idempotency/${id}/k`), kept[0]?.response_under], ['an answer', newer.id]);
});
