import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '#app/ports/store.ts';
import type { RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { catalogue, later, monotonic, newId, request } from '#test/worlds/store-world.ts';
import type { App } from './app.ts';
import { waitForGrant } from './gate/wait-for-grant.ts';
import { untilSettled } from './request-changes.ts';

/** Tells of a change of `payload()` every `ms`, until the disposal. */
function chatter(store: Store, ms: number, payload: () => string): AsyncDisposable {
  const over = new AbortController();
  const talking = (async () => {
    while (!over.signal.aborted) {
      await store.transaction((tx) => tx.notify('requests', payload()));
      await sleep(ms);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await talking;
    },
  };
}

test('a wait ends in time however often it is woken, and looks at what concerns it, a few times a second', async () => {
  await using world = await postgresStoreWorld();
  const [mine, other] = [newId('request', new Date()), newId('request', new Date())] as [RequestId, RequestId];
  const wait = async (payload: RequestId) => {
    await using _ = chatter(world.store, 5, () => payload);
    let looks = 0;
    const began = performance.now();
    await untilSettled({ store: world.store, monotonic }, mine, 2, new AbortController().signal, async () => ++looks < 0);
    const took = performance.now() - began;
    assert.ok(took > 1900 && took < 4500, `it took ${Math.round(took)} ms`);
    return { looks, most: Math.ceil(took / 100) + 3 };
  };
  const [own, others] = [await wait(mine), await wait(other)];
  assert.ok(own.looks > 5 && own.looks <= own.most, `${own.looks} looks for its own changes`);
  assert.ok(others.looks <= 4, `${others.looks} looks for those of others`);
});

test('a change is seen at once', async () => {
  await using world = await postgresStoreWorld();
  const mine = newId('request', new Date());
  let settled = false;
  const began = performance.now();
  const waiting = untilSettled({ store: world.store, monotonic }, mine, 30, new AbortController().signal, async () => settled);
  await sleep(250);
  settled = true;
  await world.store.transaction((tx) => tx.notify('requests', mine));
  await waiting;
  assert.ok(performance.now() - began < 950);
});

test('waiting in place for a grant that does not come ends in time, with a notification every half second', async () => {
  await using world = await postgresStoreWorld();
  const { principal, asked } = await world.store.transaction(async (tx) => {
    const of = await catalogue(tx);
    const pending = request(of.entitlement, of.principal.id, tx.now);
    await tx.requests.insert(pending);
    await tx.credentials.insertCertificate({ fingerprint: 'f', principal: of.principal.id, grant: null, createdAt: tx.now, notAfter: later(tx.now, 60_000) });
    return { principal: of.principal.id, asked: pending.id };
  });
  await using _ = chatter(world.store, 500, () => asked);
  const began = performance.now();
  const ask = {
    protocol: 'postgresql', broker: newId('broker', new Date()), proof: { by: 'certificate', fingerprint: 'f', subject: principal },
    target: null, within: null, grant: null, request: null, waitSeconds: 2, client: { address: '192.0.2.7', application: null },
  } as const;
  await assert.rejects(
    waitForGrant({ store: world.store, monotonic, journal: quiet } as unknown as App, ask, AbortSignal.timeout(10_000)),
    (error) => error instanceof Refusal && error.code === 'no_active_grant');
  const took = performance.now() - began;
  assert.ok(took > 1900 && took < 4500, `it took ${Math.round(took)} ms`);
});
