import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { held, later, monotonic } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import type { PartPlan } from '../ports/connector.ts';
import { DueUnwritten } from './withdraw-unwritten.ts';

test('G06: what was claimed again since it was taken away without the log is taken away again, and only then', async () => {
  await using world = await postgresStoreWorld();
  await world.store.transaction((tx) => held(tx, { deadline: later(tx.now, -1000) }));
  const fences: number[] = [];
  const withdraw = async ({ fence }: PartPlan) => {
    fences.push(fence);
    return { gone: true, residue: [], evidence: {} };
  };
  const app = { store: world.store, journal: quiet, monotonic, connectors: new Map([['postgresql', { withdraw }]]) } as unknown as App;
  const unwritten = new DueUnwritten(app);
  const round = async () => {
    unwritten.start();
    await sleep(300);
  };
  await round();
  await round();
  assert.deepEqual(fences, [0], 'once is enough');
  // Another server that was already at work on the part claims it, and could make it once more.
  await world.store.transaction((tx) => tx.parts.claim({ work: 'provision', now: tx.now, limit: 1, perTarget: 1, claimMs: 1000 }));
  await round();
  await round();
  assert.deepEqual(fences, [0, 1]);
});
