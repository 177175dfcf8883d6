import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresStoreWorld, quiet, type PostgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { catalogue, held, monotonic } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import type { ClaimedPart } from '../ports/store.ts';
import { runLane } from './lane.ts';
import { reachOf } from './reach.ts';
import type { Wake } from './reconciler.ts';

const OPTIONS = { concurrency: 2, perTarget: 8, sweepEveryMs: 60_000 };
const sleepyWake: Wake = { count: () => 0, now: () => undefined, wait: (ms) => sleep(Math.min(ms, 50)), stop: () => undefined };

/** A lane of its own, as another process would run it; stops with `stop`. */
function lane({ store }: PostgresStoreWorld, attempt: (claimed: ClaimedPart) => Promise<void>, claimMs?: number, rush = { on: false }) {
  const halt = new AbortController();
  const app = { store, journal: quiet, monotonic } as Pick<App, 'store' | 'journal' | 'monotonic'> as App;
  const running = runLane(app, OPTIONS, sleepyWake, { work: 'provision', reach: reachOf(monotonic), rush, attempt: (_, __, claimed) => attempt(claimed) }, halt.signal, claimMs);
  return {
    stop: async () => {
      halt.abort();
      await running;
    },
  };
}

test('work that takes longer than a claim stays with its worker; that of a dead worker is taken over', async () => {
  await using world = await postgresStoreWorld();
  await world.store.transaction((tx) => held(tx));
  // A worker that claimed and died.
  assert.equal((await world.store.transaction((tx) => tx.parts.claim({ work: 'provision', now: tx.now, limit: 1, perTarget: 1, claimMs: 400 }))).length, 1);
  const fences: number[] = [];
  const slow = async ({ part }: ClaimedPart) => {
    fences.push(part.fence);
    await sleep(2000);
    assert.equal(await world.store.transaction((tx) => tx.parts.present(part.id, part.fence, {}, null)), true);
  };
  const lanes = [lane(world, slow, 600), lane(world, slow, 600)];
  await sleep(2800);
  for (const each of lanes) await each.stop();
  assert.deepEqual(fences, [2]);
});

test('attempts that take long leave their places to others', async () => {
  await using world = await postgresStoreWorld();
  const stuck = await world.store.transaction((tx) => catalogue(tx));
  for (let i = 0; i < 4; i++) await world.store.transaction((tx) => held(tx, { of: stuck }));
  const seen: string[] = [];
  const release = new AbortController();
  const one = lane(world, async ({ part }) => {
    seen.push(part.target);
    if (part.target === stuck.targets[0]?.id) await sleep(60_000, undefined, { signal: release.signal }).catch(() => undefined);
  });
  await sleep(300);
  assert.equal(seen.length, 2, 'as many as there are places');
  const other = await world.store.transaction((tx) => held(tx));
  await sleep(1500);
  assert.ok(seen.includes(other.targets[0]?.id ?? ''), 'the other target is served beside the stuck one');
  release.abort();
  await one.stop();
});

test('in a rush a lane keeps one place, which an attempt that waits for its target gives away soon', async () => {
  await using world = await postgresStoreWorld();
  const hangs = await world.store.transaction((tx) => catalogue(tx));
  for (let n = 0; n < 10; n++) await world.store.transaction((tx) => held(tx, { of: hangs }));
  const other = await world.store.transaction((tx) => held(tx));
  const began: { readonly target: string; readonly at: number }[] = [];
  const release = new AbortController();
  const one = lane(world, async ({ part }) => {
    began.push({ target: part.target, at: performance.now() });
    await sleep(60_000, undefined, { signal: release.signal }).catch(() => undefined);
  }, undefined, { on: true });
  for (let waited = 0; waited < 100 && began.every(({ target }) => target === hangs.targets[0]?.id); waited++) await sleep(50);
  release.abort();
  await one.stop();
  assert.deepEqual(began.map(({ target }) => target === other.targets[0]?.id), [...Array.from({ length: 8 }, () => false), true], 'after those that one target may have');
  assert.ok(began.slice(1, 9).every(({ at }, n) => at - (began[n]?.at ?? 0) > 90), 'one after the other');
});
