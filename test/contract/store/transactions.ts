/** Of the store's contract: transactions, its time, and who hears of what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { held, person } from '#test/worlds/store-world.ts';
import { Barrier, refused, same, until, type OpenStore } from './under-test.ts';

export function transactionContract(name: string, open: OpenStore): void {
  test(`${name}: a transaction commits when its work resolves, and leaves nothing when it rejects`, async () => {
    await using use = await open();
    const { store } = use;
    const somebody = person();
    await assert.rejects(store.transaction(async (tx) => {
      await tx.principals.insert(somebody);
      throw new Refusal('forbidden', 'no');
    }), refused('forbidden'));
    assert.equal(await store.transaction((tx) => tx.principals.byId(somebody.id)), null);
    await store.transaction((tx) => tx.principals.insert(somebody));
    same(await store.transaction((tx) => tx.principals.byId(somebody.id)), somebody);
  });

  test(`${name}: the time is the store's, in whole milliseconds, and never goes back`, async () => {
    await using use = await open();
    const [first, second] = [await use.store.transaction(async (tx) => tx.now), await use.store.transaction(async (tx) => tx.now)];
    assert.ok(Number.isInteger(first.getTime()) && second >= first);
    assert.ok(Math.abs(first.getTime() - Date.now()) < 5_000);
  });

  test(`${name}: two who lock in opposite orders both get through`, async () => {
    await using use = await open();
    const [a, b] = await use.store.transaction(async (tx) => [await held(tx), await held(tx)] as const);
    let runs = 0;
    const both = new Barrier(2);
    const cross = (first: typeof a, second: typeof a) => use.store.transaction(async (tx) => {
      runs += 1;
      await tx.grants.lock(first.grant.id);
      await both.arrive();
      await tx.grants.lock(second.grant.id);
    });
    await Promise.all([cross(a, b), cross(b, a)]);
    assert.ok(runs >= 3, 'one of them was run again');
  });

  test(`${name}: listeners hear of what was committed, once for equal notices, and not of what was rolled back`, async () => {
    await using use = await open();
    const heard: string[] = [];
    const stop = use.store.listen('requests', (payload) => heard.push(payload));
    await until(async () => {
      await use.store.transaction((tx) => tx.notify('requests', 'ready'));
      return heard.includes('ready');
    });
    heard.length = 0;
    await assert.rejects(use.store.transaction(async (tx) => {
      await tx.notify('requests', 'undone');
      throw new Error('no');
    }));
    await use.store.transaction(async (tx) => {
      await tx.notify('requests', 'one');
      await tx.notify('requests', 'one');
      await tx.notify('work', 'other');
    });
    await until(async () => heard.some((payload) => payload !== 'ready'));
    same(heard.filter((payload) => payload !== 'ready'), ['one']);
    stop();
  });
}
