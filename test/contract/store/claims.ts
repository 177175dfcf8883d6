/** Of the store's contract: how parts are claimed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '#app/ports/store.ts';
import { catalogue, held, later, part } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export const lane = { limit: 10, perTarget: 10, claimMs: 30_000 } as const;
export const claim = (store: Store, work: 'provision' | 'withdraw', more: Partial<Record<keyof typeof lane, number>> = {}) =>
  store.transaction((tx) => tx.parts.claim({ ...lane, work, now: tx.now, ...more }));

export function claimContract(name: string, open: OpenStore): void {
  test(`${name}: claimers never share a part, and a target gets no more than its share`, async () => {
    await using use = await open();
    const { store } = use;
    await store.transaction(async (tx) => {
      const [busy, calm] = [await catalogue(tx), await catalogue(tx)];
      for (let i = 0; i < 20; i++) await held(tx, { of: busy });
      await held(tx, { of: calm });
    });
    const claims = (await Promise.all(Array.from({ length: 5 }, () => claim(store, 'provision', { limit: 4, perTarget: 12 })))).flat();
    assert.equal(new Set(claims.map(({ part: p }) => p.id)).size, claims.length);
    const perTarget = Object.values(Object.groupBy(claims, ({ part: p }) => p.target)).map((group) => group?.length ?? 0);
    same(perTarget.sort((a, b) => b - a), [12, 1]);
    same(await claim(store, 'provision', { perTarget: 12 }), [], 'what is claimed counts');
    const past = await store.transaction((tx) => tx.parts.claim({ work: 'provision', now: later(tx.now, 30_001), limit: 50, perTarget: 50, claimMs: 1 }));
    assert.equal(past.length, 21, 'claims of the dead run out');
  });

  test(`${name}: a claim lives as long as its worker says so, and is not raised from the dead`, async () => {
    await using use = await open();
    const { store } = use;
    const has = await store.transaction((tx) => held(tx));
    const [claimed] = await claim(store, 'provision', { claimMs: 1000 });
    assert.ok(claimed);
    const { id, fence } = claimed.part;
    const late = (ms: number) => store.transaction((tx) => tx.parts.claim({ ...lane, work: 'provision', now: later(tx.now, ms) }));
    await store.transaction((tx) => tx.parts.keepClaims([{ id, fence }], later(tx.now, 60_000)));
    same(await late(30_000), [], 'kept');
    same((await late(60_001))[0]?.part.fence, fence + 1);
    await store.transaction((tx) => tx.parts.keepClaims([{ id, fence }], later(tx.now, 900_000)));
    same((await late(100_000))[0]?.part.fence, fence + 2, 'a lower fence keeps nothing');
    await store.transaction((tx) => tx.grants.revokeAll([has.grant.id], 'revoked', tx.now));
    await store.transaction((tx) => tx.parts.keepClaims([{ id, fence: fence + 2 }], later(tx.now, 900_000)));
    same((await claim(store, 'withdraw')).length, 1, 'a claim that was lifted stays lifted');
  });

  test(`${name}: when the clock went back, what it had put off or claimed is due and free`, async () => {
    await using use = await open();
    const { store } = use;
    const [put, held1, , usual] = await store.transaction(async (tx) => [await held(tx), await held(tx), await held(tx), await held(tx)] as const);
    const all = await claim(store, 'provision', { claimMs: 3_600_000 });
    const of = (has: typeof put) => all.find(({ part: p }) => p.grant === has.grant.id)?.part ?? assert.fail();
    await store.transaction(async (tx) => {
      await tx.parts.retry(of(put).id, of(put).fence, later(tx.now, 3_600_000), 'later');
      await tx.parts.retry(of(usual).id, of(usual).fence, later(tx.now, 60_000), 'later');
      same(await tx.parts.wakeStranded(later(tx.now, 4_000_000), tx.now), 0);
      same(await tx.parts.wakeStranded(later(tx.now, 120_000), tx.now), 3);
      same((await tx.parts.claim({ ...lane, work: 'provision', now: tx.now })).map(({ part: p }) => p.grant).includes(usual.grant.id), false);
    });
    same((await store.transaction((tx) => tx.parts.byId(of(held1).id)))?.fence, of(held1).fence + 1);
  });

  test(`${name}: targets take turns`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const many = await catalogue(tx);
      for (let i = 0; i < 8; i++) await held(tx, { of: many });
      await held(tx);
      await held(tx);
    });
    const got = await claim(use.store, 'provision', { limit: 4 });
    same(Object.values(Object.groupBy(got, ({ part: p }) => p.target)).map((group) => group?.length ?? 0).sort(), [1, 1, 2]);
  });

  test(`${name}: a part that somebody is deciding on is passed over`, async () => {
    await using use = await open();
    const [a, b] = await use.store.transaction(async (tx) => [await held(tx), await held(tx)] as const);
    await use.store.transaction(async (tx) => {
      await tx.parts.due(a.parts[0]?.id ?? 'prt_', 'provision', tx.now);
      same((await claim(use.store, 'provision')).map(({ part: p }) => p.grant), [b.grant.id]);
    });
  });

  test(`${name}: an object's name is used once`, async () => {
    await using use = await open();
    const has = await use.store.transaction((tx) => held(tx));
    await assert.rejects(use.store.transaction((tx) => tx.parts.insert(part(has.grant, 0, { ordinal: 7 }))), refused('already_exists'));
  });
}
