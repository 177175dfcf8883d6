/** The part of the store's contract on the parts of grants and how they are claimed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '#app/ports/store.ts';
import type { EndReason } from '#domain/lifecycle.ts';
import { catalogue, held, later, newId, part, sealedLike, textIn } from '../worlds/store-world.ts';
import { refused, same, type OpenStore } from './store-contract.ts';

export const lane = { limit: 10, perTarget: 10, claimMs: 30_000 } as const;
export const claim = (store: Store, work: 'provision' | 'withdraw', more: Partial<Record<keyof typeof lane, number>> = {}) =>
  store.transaction((tx) => tx.parts.claim({ ...lane, work, now: tx.now, ...more }));

export function partContract(name: string, open: OpenStore): void {
  test(`${name}: a part's way from intent to proven absence`, async () => {
    await using use = await open();
    const { store } = use;
    const has = await store.transaction((tx) => held(tx));
    const planned = has.parts[0];
    assert.ok(planned);
    await store.transaction(async (tx) => same(await tx.parts.byId(planned.id), { ...planned, work: 'provision', dueAt: tx.now && (await tx.parts.byId(planned.id))?.dueAt }));
    const [claimed] = await claim(store, 'provision');
    assert.ok(claimed && claimed.part.fence === 1 && claimed.sealedSecret === null);
    const { id, fence } = claimed.part;
    await store.transaction(async (tx) => {
      assert.equal(await tx.parts.holds(id, fence, 'provision'), true);
      assert.equal(await tx.parts.holds(id, fence, 'withdraw'), false);
      assert.equal(await tx.parts.plan(id, fence, { prior: { roles: [] }, deadline: later(tx.now, 1000) }), true);
      // A second look would see our own change: the first one stays.
      assert.equal(await tx.parts.plan(id, fence, { prior: { roles: ['raised'] } }), true);
      assert.equal(await tx.parts.retry(id, fence, later(tx.now, 500), 'no answer'), true);
      const tried = await tx.parts.byId(id);
      same([tried?.prior, tried?.deadline, tried?.attempts, tried?.lastError, tried?.dueAt], [{ roles: [] }, later(tx.now, 1000), 1, 'no answer', later(tx.now, 500)]);
      same(await tx.parts.claim({ ...lane, work: 'provision', now: tx.now }), []);
      const [again] = await tx.parts.claim({ ...lane, work: 'provision', now: later(tx.now, 500) });
      assert.equal(again?.part.fence, 2);
      assert.equal(await tx.parts.present(id, fence, {}, null), false, 'the fence was lost');
      assert.equal(await tx.parts.present(id, 2, { oid: 5 }, sealedLike('s')), true);
      same(await tx.parts.sealedSecret(id).then(textIn), 's');
      same(await tx.parts.liveObjects([planned.objectName, 'brevet_nobody']), new Set([planned.objectName]));
      // An extension: due again, and the secret stays.
      await tx.parts.due(id, 'provision', tx.now);
      const [more] = await tx.parts.claim({ ...lane, work: 'provision', now: tx.now });
      same(textIn(more?.sealedSecret ?? null), 's');
      assert.equal(await tx.parts.present(id, 3, { oid: 5 }, null), true);
      same(await tx.parts.sealedSecret(id).then(textIn), 's');

      await tx.grants.revokeAll([has.grant.id], 'expired', tx.now);
      await tx.parts.due(id, 'provision', tx.now);
      same((await tx.parts.byId(id))?.work, 'withdraw', 'a removal is never turned back');
      const [removal] = await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now });
      assert.equal(removal?.part.fence, 4);
      for (const write of [tx.parts.plan(id, 3, { state: 'removing' }), tx.parts.retry(id, 3, tx.now, 'x'), tx.parts.absent(id, 3, {})]) assert.equal(await write, false);
      assert.equal(await tx.parts.plan(id, 4, { state: 'removing' }), true);
      assert.equal(await tx.parts.retry(id, 4, tx.now, 'still there', { residue: ['found'] }), true);
      assert.equal((await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now })).length, 1);
      assert.equal(await tx.parts.retry(id, 5, tx.now, 'no answer'), true);
      same((await tx.parts.byId(id))?.evidence, { residue: ['found'] }, 'what an attempt without an answer did not see stays');
      assert.equal((await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now })).length, 1);
      assert.equal(await tx.parts.absent(id, 6, { read: 'nothing' }), true);
      assert.equal(await tx.parts.absent(id, 6, {}), false);
      const gone = await tx.parts.byId(id);
      same([gone?.state, gone?.work, gone?.evidence, await tx.parts.sealedSecret(id)], ['absent', null, { read: 'nothing' }, null]);
    });
  });

  test(`${name}: why a grant never became real stays, until the removal has an error of its own`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const errorAfter = async (reason: EndReason, removalFails: boolean) => {
        const has = await held(tx);
        const id = has.parts[0]?.id ?? 'prt_';
        await tx.parts.due(id, 'provision', tx.now);
        await tx.parts.claim({ ...lane, work: 'provision', now: tx.now });
        await tx.parts.retry(id, 1, tx.now, 'dangerous_scope: no');
        await tx.grants.revokeAll([has.grant.id], reason, tx.now);
        const [removal] = await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now });
        const fence = removal?.part.fence ?? 0;
        if (removalFails) {
          await tx.parts.retry(id, fence, tx.now, 'no answer');
          await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now });
        }
        assert.equal(await tx.parts.absent(id, removalFails ? fence + 1 : fence, {}), true);
        return (await tx.parts.byId(id))?.lastError;
      };
      same(await errorAfter('activation_failed', false), 'dangerous_scope: no');
      same(await errorAfter('activation_failed', true), null);
      same(await errorAfter('revoked', false), null);
    });
  });

  test(`${name}: live parts that share a stored account are found`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const has = await held(tx);
      const on = has.parts[0]?.target ?? 'tgt_';
      const more = (ordinal: number, what: Parameters<typeof part>[2]) =>
        ({ ...part(has.grant, 0, { kind: 'brokered_session', account: 'app', ...what }), id: newId('part', later(tx.now, ordinal)), ordinal, objectName: `brevet_${ordinal}` });
      const [first, second] = [more(10, { prior: { a: 1 } }), more(11, {})];
      for (const one of [second, first, more(12, { account: 'another' }), more(13, { state: 'absent' }), more(14, { kind: 'temporary_elevation' })]) await tx.parts.insert(one);
      same((await tx.parts.sharing([on], 'app')).map(({ id }) => id), [first.id, second.id]);
      same(await tx.parts.sharing([], 'app'), []);
    });
  });

  test(`${name}: a target that is down is left out, probed, and woken`, async () => {
    await using use = await open();
    const { store } = use;
    const has = await store.transaction((tx) => held(tx));
    const id = has.targets[0]?.id ?? 'tgt_';
    const [claimed] = await claim(store, 'provision');
    assert.ok(claimed);
    await store.transaction(async (tx) => {
      same(await tx.parts.targetsToProbe(), [id], 'never checked');
      await tx.parts.retry(claimed.part.id, claimed.part.fence, later(tx.now, 60_000), 'down');
      await tx.catalogue.setHealth(id, { checkedAt: tx.now, unreachableSince: tx.now });
      same(await tx.parts.claim({ ...lane, work: 'provision', now: later(tx.now, 60_000) }), []);
      same(await tx.parts.targetsToProbe(), [id]);
      await tx.catalogue.setHealth(id, { unreachableSince: null });
      same(await tx.parts.targetsToProbe(), []);
      assert.equal(await tx.parts.wakeTarget(id, tx.now), 1);
      same(await tx.parts.claim({ ...lane, work: 'provision', now: tx.now, except: [id] }), [], 'left to others');
      same((await tx.parts.claim({ ...lane, work: 'provision', now: tx.now, except: [newId('target', tx.now)] })).length, 1);
    });
  });
}

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
