import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { catalogue, held, later, monotonic } from '#test/worlds/store-world.ts';
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

test('G06: none is left behind by those before it, and no target gets more attempts at a time than it has places', async () => {
  await using world = await postgresStoreWorld();
  const of = await world.store.transaction((tx) => catalogue(tx));
  for (let n = 0; n < 6; n++) await world.store.transaction(async (tx) => {
    for (let i = 0; i < 100; i++) await held(tx, { of, deadline: later(tx.now, -1000) });
  });
  const taken = new Set<string>();
  let [running, most] = [0, 0];
  const withdraw = async ({ part }: PartPlan) => {
    most = Math.max(most, ++running);
    await sleep(1);
    running -= 1;
    taken.add(part);
    return { gone: true, residue: [], evidence: {} };
  };
  const app = { store: world.store, journal: quiet, monotonic, connectors: new Map([['postgresql', { withdraw }]]) } as unknown as App;
  new DueUnwritten(app).start();
  await until(20_000, () => taken.size === 600);
  assert.ok(most > 1 && most <= 8, `${most} at a time`);
});

async function until(ms: number, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + ms; !holds(); await sleep(50)) if (performance.now() > end) throw new Error('it did not come to that');
}
