/** Of the store's contract: requests and reviews. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue, later, newId, person, request, review } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function requestContract(name: string, open: OpenStore): void {
  test(`${name}: a request reads back as sent, and is decided once`, async () => {
    await using use = await open();
    const { store } = use;
    const of = await store.transaction((tx) => catalogue(tx));
    const asked = await store.transaction(async (tx) => {
      const made = request({ ...of.entitlement, retiredAt: tx.now }, of.principal.id, tx.now, { startAt: later(tx.now, 1000) });
      await tx.requests.insert(made);
      return made;
    });
    await store.transaction(async (tx) => {
      same(await tx.requests.byId(asked.id), asked);
      same(await tx.requests.lock(asked.id), asked);
      assert.equal(await tx.requests.countPending(of.principal.id), 1);
      await tx.requests.decide(asked.id, 'denied', tx.now, 'not today');
      same(await tx.requests.byId(asked.id), { ...asked, state: 'denied', decidedAt: tx.now, decisionReason: 'not today' });
      assert.equal(await tx.requests.countPending(of.principal.id), 0);
    });
    await assert.rejects(store.transaction((tx) => tx.requests.decide(asked.id, 'approved', tx.now, null)), refused('conflict'));
    await assert.rejects(store.transaction((tx) => tx.requests.insert({ ...asked, id: newId('request', tx.now), reason: 'NUL \0' })), refused('invalid_input'));
  });

  test(`${name}: two who decide at once: the second sees it decided`, async () => {
    await using use = await open();
    const of = await use.store.transaction((tx) => catalogue(tx));
    const asked = await use.store.transaction(async (tx) => {
      const made = request(of.entitlement, of.principal.id, tx.now);
      await tx.requests.insert(made);
      return made;
    });
    const decide = () => use.store.transaction(async (tx) => {
      if ((await tx.requests.lock(asked.id))?.state !== 'pending') return 0;
      await tx.requests.decide(asked.id, 'approved', tx.now, null);
      return 1;
    });
    const decided = await Promise.all(Array.from({ length: 5 }, decide));
    assert.equal(decided.reduce((sum: number, n) => sum + n, 0), 1);
  });

  test(`${name}: requests are listed newest first, page by page, and found when they expire`, async () => {
    await using use = await open();
    const of = await use.store.transaction((tx) => catalogue(tx));
    const now = await use.store.transaction(async (tx) => {
      for (let i = 0; i < 5; i++) await tx.requests.insert(request(of.entitlement, of.principal.id, later(tx.now, i), { expiresAt: later(tx.now, 1000 * (5 - i)) }));
      return tx.now;
    });
    await use.store.transaction(async (tx) => {
      const first = await tx.requests.list({ principal: of.principal.id, state: 'pending', entitlement: of.entitlement.id }, { before: null, limit: 3 });
      const rest = await tx.requests.list({}, { before: first.at(-1)?.id ?? '', limit: 3 });
      same([...first, ...rest].map((r) => r.createdAt.getTime() - now.getTime()), [4, 3, 2, 1, 0]);
      same(await tx.requests.list({ principal: newId('person', now) }, { before: null, limit: 3 }), []);
      same((await tx.requests.lockExpired(later(now, 2000), 10)).map((r) => r.id), [first[0]?.id, first[1]?.id]);
      same(await tx.grants.nextInstant(later(now, 5000)), later(now, 1000));
      assert.equal(await tx.grants.nextInstant(later(now, 999)), null);
      same(await tx.grants.awaiting(later(now, 1000), now), ['expired']);
      same(await tx.grants.awaiting(later(now, 999), now), []);
    });
  });

  test(`${name}: reviews read back; one for each reviewer, on the right hash, never by who asked`, async () => {
    await using use = await open();
    const { store } = use;
    const { of, asked, reviewer } = await store.transaction(async (tx) => {
      const of = await catalogue(tx);
      const asked = request(of.entitlement, of.principal.id, tx.now);
      const reviewer = person();
      await tx.principals.insert(reviewer);
      await tx.requests.insert(asked);
      return { of, asked, reviewer };
    });
    await store.transaction(async (tx) => {
      const given = review(asked, reviewer, tx.now);
      await tx.requests.insertReview(given);
      same(await tx.requests.reviews(asked.id), [given]);
      same(await tx.requests.reviewsOf([asked.id, newId('request', tx.now)]), new Map([[asked.id, [given]]]));
    });
    await assert.rejects(store.transaction((tx) => tx.requests.insertReview(review(asked, reviewer, tx.now))), refused('already_reviewed'));
    await assert.rejects(store.transaction((tx) => tx.requests.insertReview(review(asked, of.principal, tx.now))), refused('own_request'));
    const other = await store.transaction(async (tx) => {
      const other = person();
      await tx.principals.insert(other);
      return other;
    });
    await assert.rejects(store.transaction((tx) => tx.requests.insertReview(review({ ...asked, hash: '0'.repeat(64) }, other, tx.now))), refused('stale_hash'));
    assert.equal(await store.transaction(async (tx) => (await tx.requests.reviews(asked.id)).length), 1);
  });
}
