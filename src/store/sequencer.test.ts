import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCheckpoint } from '#log/checkpoint.ts';
import { CompactRange, leafHash } from '#log/merkle-tree.ts';
import { until } from '#test/contract/store/under-test.ts';
import { logTree, postgresStoreWorld, quiet, type PostgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { monotonic } from '#test/worlds/store-world.ts';
import { IDLE_MS } from './connection.ts';
import { runSequencer, sequenceBatch, sqlRoll } from './sequencer.ts';

const told = (use: PostgresStoreWorld, from: number, count: number) => use.store.transaction(async (tx) => {
  for (let i = from; i < from + count; i++) await tx.log({ type: 'test.told', actor: 'system', data: { n: i, words: 'Grüße' } });
});

/** Rebuilds the tree from the entries' text alone and compares it with the checkpoint and the tiles. */
async function checkLog(use: PostgresStoreWorld, size: number): Promise<void> {
  await use.store.transaction(async (tx) => {
    const entries = await tx.entries.from(0, size + 1);
    assert.deepEqual(entries.map(({ index }) => index), Array.from({ length: size }, (_, i) => i));
    const range = CompactRange.restore({ size: 0, hashes: [] });
    const leaves = entries.map(({ body }) => leafHash(Buffer.from(body)));
    for (const leaf of leaves) range.append(leaf);
    const head = await tx.entries.head();
    const checkpoint = parseCheckpoint(`${(head.checkpoint ?? '').split('\n\n')[0]}\n`);
    assert.deepEqual([head.size, checkpoint.size, Buffer.from(checkpoint.root)], [size, size, Buffer.from(range.root())]);
    for (let tile = 0; tile * 256 < size; tile++) {
      assert.deepEqual(Buffer.from((await tx.entries.tile(0, tile)) ?? []), Buffer.concat(leaves.slice(tile * 256, (tile + 1) * 256)));
    }
  });
}

test('batches grow one tree, over full and partial tiles', async () => {
  await using use = await postgresStoreWorld();
  const one = { roll: sqlRoll(use.db.pool), tree: logTree, sign: use.sign, batch: 100 };
  assert.equal(await sequenceBatch(one), 0);
  assert.deepEqual(await use.store.transaction((tx) => tx.entries.head()), { size: 0, checkpoint: null });
  let size = 0;
  for (const count of [1, 254, 1, 1, 300]) {
    await told(use, size, count);
    size += count;
    while ((await sequenceBatch(one)) !== 0) continue;
    await checkLog(use, size);
  }
  assert.equal((await use.store.transaction((tx) => tx.entries.tile(1, 0)))?.length, 2 * 32);
});

test('several sequencers at once give every entry one number', async () => {
  await using use = await postgresStoreWorld();
  const stop = new AbortController();
  const options = { roll: sqlRoll(use.db.pool), store: use.store, tree: logTree, sign: use.sign, journal: quiet, monotonic, batch: 40 };
  const running = [1, 2, 3].map(() => runSequencer(options, stop.signal));
  await Promise.all(Array.from({ length: 20 }, (_, i) => told(use, i * 20, 20)));
  await until(async () => (await use.store.transaction((tx) => tx.entries.head())).size === 400);
  stop.abort();
  await Promise.all(running);
  await checkLog(use, 400);
});

test('an entry is covered by a checkpoint within a second, also that of another process', async () => {
  await using use = await postgresStoreWorld();
  const stop = new AbortController();
  const deaf = { listen: () => () => undefined };
  const options = { roll: sqlRoll(use.db.pool), store: deaf, tree: logTree, sign: use.sign, journal: quiet, monotonic };
  const running = runSequencer(options, stop.signal);
  for (let size = 1; size <= 3; size++) {
    await told(use, size, 1);
    await until(async () => (await use.store.transaction((tx) => tx.entries.head())).size === size, 1_000);
  }
  stop.abort();
  await running;
});

test('what goes wrong in a batch leaves nothing of it', async () => {
  await using use = await postgresStoreWorld();
  await told(use, 0, 3);
  const sign = () => {
    throw new Error('no key');
  };
  await assert.rejects(sequenceBatch({ roll: sqlRoll(use.db.pool), tree: logTree, sign }), /no key/);
  const { entries } = await use.store.transaction((tx) => tx.entries.list({}, 10, null));
  assert.deepEqual(entries.map(({ index }) => index), [null, null, null]);
  assert.equal(await use.store.transaction((tx) => tx.entries.tile(0, 0)), null);
  await use.sequence();
  await checkLog(use, 3);
});

test('one that falls asleep in mid-batch keeps the others for four seconds, and no longer', async () => {
  await using use = await postgresStoreWorld();
  await told(use, 0, 1);
  const roll = sqlRoll(use.db.pool);
  const held = Promise.withResolvers<void>();
  const asleep = roll.transaction(async (rows) => {
    assert.equal(await rows.holdSize(), 0);
    held.resolve();
    await sleep(IDLE_MS + 1_000);
    await rows.edge();
  });
  const given = assert.rejects(asleep);
  await held.promise;
  const one = { roll, tree: logTree, sign: use.sign };
  assert.equal(await sequenceBatch(one), null);
  await until(async () => (await sequenceBatch(one)) === 1, IDLE_MS + 500);
  await given;
});
