import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connector } from '#app/ports/connector.ts';
import type { TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { postgresStoreWorld, quiet, type PostgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { catalogue, held, monotonic, sealedLike, textIn } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import { Prober } from './probe-targets.ts';
import { reachOf } from './reach.ts';
import { sweepTargets } from './sweep-target.ts';

/** A target with one orphan that goes away at the `goneAt`-th attempt, and that counts who calls at once. */
class Haunted {
  attempts = 0;
  busy = 0;
  most = 0;
  readonly goneAt: number;
  constructor(goneAt: number) {
    this.goneAt = goneAt;
  }

  async #slowly<T>(work: () => T): Promise<T> {
    this.most = Math.max(this.most, ++this.busy);
    await sleep(20);
    this.busy -= 1;
    return work();
  }

  readonly listOwned: Connector['listOwned'] = () => this.#slowly(() => (this.attempts < this.goneAt ? [{ name: 'brevet_ghost', validUntil: null }] : []));
  readonly removeOwned: Connector['removeOwned'] = () => this.#slowly(() => ({ gone: ++this.attempts >= this.goneAt, residue: [], evidence: {} }));
  readonly probe: Connector['probe'] = () => this.#slowly(() => ({ reachable: true, skewMs: 0, version: '18', problem: null, hint: null }));
}

function appOn({ store }: PostgresStoreWorld, connector: Haunted, told: Record<string, unknown>[] = []): App {
  const openText = (sealed: Uint8Array) => {
    if (textIn(sealed) === 'broken') throw new Refusal('unavailable', 'this secret does not open');
    return '{"own":"s","accounts":{}}';
  };
  const journal = { ...quiet, warn: (message: string, facts?: object) => void told.push({ ...facts, what: message }) };
  return { store, journal, monotonic, secrets: { openText }, connectors: new Map([['postgresql', connector]]) } as unknown as App;
}

const removals = async ({ db }: PostgresStoreWorld) => (await db.pool.query("select from brevet.log_entries where type = 'sweep.removed'")).rowCount;

async function targets({ store }: PostgresStoreWorld, count: number, sealed = 'fine'): Promise<readonly TargetId[]> {
  return store.transaction(async (tx) => {
    const made = (await catalogue(tx, { targets: count })).targets.map(({ id }) => id);
    for (const id of made) await tx.catalogue.setCredential(id, sealedLike(sealed));
    return made;
  });
}

test('an orphan that is still there is not told as removed, and is tried again in the next round', async () => {
  await using world = await postgresStoreWorld();
  await targets(world, 1);
  const haunted = new Haunted(3);
  const app = appOn(world, haunted);
  for (let round = 1; round <= 5; round++) {
    await sweepTargets(app, 60_000);
    assert.deepEqual([haunted.attempts, await removals(world)], [Math.min(round, 3), round >= 3 ? 1 : 0], `round ${round}`);
  }
});

test('of two servers one sweeps, so that one removal is told once', async () => {
  await using world = await postgresStoreWorld();
  await targets(world, 1);
  const haunted = new Haunted(1);
  await Promise.all([sweepTargets(appOn(world, haunted), 60_000), sweepTargets(appOn(world, haunted), 60_000)]);
  assert.deepEqual([haunted.attempts, await removals(world)], [1, 1]);
});

test('many targets are swept and probed a few at a time; one whose credential does not open is named, and keeps nobody', async () => {
  await using world = await postgresStoreWorld();
  const many = await world.store.transaction(async (tx) => (await held(tx, { targets: 50 })).targets.map(({ id }) => id));
  const [broken] = many as [TargetId];
  await world.store.transaction(async (tx) => {
    for (const id of many) await tx.catalogue.setCredential(id, sealedLike(id === broken ? 'broken' : 'fine'));
  });
  const told: Record<string, unknown>[] = [];
  const haunted = new Haunted(0);
  const app = appOn(world, haunted, told);
  await sweepTargets(app, 60_000);
  assert.equal(haunted.most, 8);
  let knocks = 0;
  const prober = new Prober(app, reachOf(monotonic), () => (knocks += 1));
  for (const total of [32, 50]) {
    await prober.look();
    await prober.end();
    assert.equal(knocks, total);
  }
  assert.ok(haunted.most > 8 && haunted.most <= 32, `${haunted.most} at once`);
  assert.deepEqual(told.map(({ what, target }) => [what, target]), [['a sweep failed', broken], ['a probe failed', broken]]);
  const checked = await world.store.transaction((tx) => Promise.all(many.map((id) => tx.catalogue.health(id))));
  assert.deepEqual(checked.map((health) => health?.version), many.map((id) => (id === broken ? null : '18')));
  assert.match(checked[0]?.problem ?? '', /does not open/);
});
