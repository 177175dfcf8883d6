/** Of the store's contract: the parts of grants. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndReason } from '#domain/lifecycle.ts';
import { held, later, newId, part, sealedLike, textIn } from '#test/worlds/store-world.ts';
import { claim, lane } from './claims.ts';
import { same, type OpenStore } from './under-test.ts';

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
