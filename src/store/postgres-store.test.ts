import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseError } from 'pg';
import { storeContract } from '#test/contract/store/store-contract.ts';
import { refused, until } from '#test/contract/store/under-test.ts';
import { postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { freePort } from '#test/worlds/postgres-server.ts';
import { held, monotonic, person, review } from '#test/worlds/store-world.ts';
import { openPool } from './pool.ts';
import { postgresStore } from './postgres-store.ts';
import { StoreFault } from './refuse.ts';

storeContract('postgres', postgresStoreWorld);

test('what broke in between is not taken for committed', async () => {
  await using use = await postgresStoreWorld();
  const somebody = person();
  await assert.rejects(use.store.transaction(async (tx) => {
    await tx.principals.insert(somebody);
    await tx.principals.insert(somebody).catch(() => undefined);
  }), refused('internal'));
  assert.equal(await use.store.transaction((tx) => tx.principals.byId(somebody.id)), null);
});

test('a query that nobody waited for never runs outside its transaction', async () => {
  await using use = await postgresStoreWorld();
  let late: Promise<unknown> = Promise.resolve();
  const tx = await use.store.transaction(async (tx) => tx);
  await assert.rejects(tx.principals.all(), /after the end of its transaction/);
  await use.store.transaction(async (inner) => {
    late = Promise.all([inner.principals.all(), inner.principals.all()]).catch((error: unknown) => error);
  });
  assert.match(String(await late), /after the end of its transaction/);
});

test('a store that is not there is unavailable, and so is one that goes away', async () => {
  const port = await freePort();
  const pool = openPool({ connection: { host: '127.0.0.1', port, user: 'nobody', database: 'none' }, max: 4 });
  await using use = await postgresStoreWorld();
  await using gone = postgresStore({ ...use.options, pool });
  await assert.rejects(gone.transaction(async () => 1), refused('unavailable'));
  await pool.end();
  await assert.rejects(use.store.transaction(async (tx) => {
    await tx.principals.all();
    await use.db.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`);
    // The loss is noticed between two queries.
    await monotonic.sleep(100);
    await tx.principals.all();
  }), refused('unavailable'));
  assert.deepEqual(await use.store.transaction((tx) => tx.principals.all()), [], 'and comes back');
});

test('a statement that waits too long for a lock is given up', async () => {
  await using use = await postgresStoreWorld();
  await using hasty = postgresStore({ ...use.options, statementTimeoutMs: 100 });
  const has = await use.store.transaction((tx) => held(tx));
  await use.store.transaction(async (tx) => {
    await tx.grants.lock(has.grant.id);
    await assert.rejects(hasty.transaction((other) => other.grants.lock(has.grant.id)), refused('unavailable'));
  });
});

test('after its connection was lost, a listener is called once and hears again', async () => {
  await using use = await postgresStoreWorld();
  const heard: string[] = [];
  use.store.listen('work', (payload) => heard.push(payload));
  await until(async () => {
    await use.store.transaction((tx) => tx.notify('work', 'before'));
    return heard.includes('before');
  });
  heard.length = 0;
  await use.db.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'listen %'`);
  await until(async () => heard.includes(''));
  await use.store.transaction((tx) => tx.notify('work', 'after'));
  await until(async () => heard.includes('after'));
  assert.equal(heard.filter((payload) => payload === '').length, 1);
});

test('one whose every query is answered by another database error gets a fault without row values', async () => {
  await using use = await postgresStoreWorld();
  const fault = await use.store.transaction((tx) => tx.principals.insert(person({ name: 'NOT a name', displayName: 'secret words' }))).catch((error: unknown) => error);
  assert.ok(fault instanceof StoreFault && fault.constraint === 'principals_name_check');
  assert.ok(!JSON.stringify({ ...fault, message: fault.message, stack: fault.stack }).includes('secret words'));
});

test('what is final stays, whatever SQL is written', async () => {
  await using use = await postgresStoreWorld();
  await use.store.transaction(async (tx) => {
    const has = await held(tx);
    const reviewer = person();
    await tx.principals.insert(reviewer);
    await tx.requests.insertReview(review(has.request, reviewer, tx.now));
    await tx.log({ type: 'test.told', actor: 'system', data: {} });
  });
  await use.store.transaction((tx) => tx.log({ type: 'test.waits', actor: 'system', data: {} }));
  await use.sequence();
  await use.store.transaction((tx) => tx.log({ type: 'test.new', actor: 'system', data: {} }));
  for (const [sql, constraint] of [
    [`update brevet.log_entries set body = body || ' ' where type = 'test.new'`, 'log_entries_are_final'],
    [`update brevet.log_entries set at = now() where type = 'test.told'`, 'log_entries_are_final'],
    [`update brevet.log_entries set index = null, leaf = null where type = 'test.told'`, 'log_entries_are_final'],
    ['delete from brevet.log_entries', 'log_entries_are_final'],
    ['truncate brevet.log_entries', 'log_entries_are_final'],
    [`update brevet.log_tiles set hashes = hashes || '\\x00'`, 'log_tiles_hashes_check'],
    [`update brevet.log_tiles set hashes = sha256('other') || sha256('one')`, 'log_tiles_only_grow'],
    ['delete from brevet.log_tiles', 'log_tiles_only_grow'],
    [`update brevet.grant_parts set state = 'absent', work = null, due_at = null; update brevet.grant_parts set state = 'planned'`, 'parts_move_forward'],
    [`update brevet.grant_parts set state = 'present'; update brevet.grant_parts set state = 'absent', work = null, due_at = null`, 'parts_move_forward'],
    [`update brevet.requests set reason = 'other'`, 'requests_are_decided_once'],
    ['delete from brevet.requests', 'requests_are_immutable'],
    [`update brevet.reviews set decision = 'deny'`, 'reviews_are_final'],
    ['delete from brevet.reviews', 'reviews_are_final'],
    [`update brevet.grants set state = 'activating'`, 'grants_move_forward'],
    [`update brevet.grants set state = 'ended', ended_at = now(), revoke_due_at = now(), end_reason = 'expired'`, 'grants_move_forward'],
  ] as const) {
    await assert.rejects(use.db.pool.query(sql), (error: DatabaseError) => (assert.equal(error.constraint, constraint, sql), true));
  }
});
