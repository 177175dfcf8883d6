/** Of the store's contract: sessions and their recordings. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Tx } from '#app/ports/store.ts';
import { chainHash } from '#domain/recording-chain.ts';
import { held, later, newId, sealedLike, session, textIn, type Held } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

const COUNTERS = { statements: 3, bytesIn: 5_000_000_000, bytesOut: 7 };

async function opened(tx: Tx, has: Held) {
  const part = has.parts[0];
  assert.ok(part);
  const made = session(has.grant, part, tx.now);
  await tx.sessions.insert(made);
  return made;
}

export function sessionContract(name: string, open: OpenStore): void {
  test(`${name}: a session opens, runs under a lease, and ends once`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const has = await held(tx);
      const made = await opened(tx, has);
      same(await tx.sessions.byId(made.id), made);
      same(await tx.sessions.lock(made.id), made);
      for (const filter of [{ grant: has.grant.id }, { principal: has.principal.id }, { target: has.targets[0]?.id ?? 'tgt_' }, { live: true }] as const) {
        same(await tx.sessions.list(filter, { before: null, limit: 5 }), [made], JSON.stringify(filter));
      }
      same(await tx.sessions.list({ live: false }, { before: null, limit: 5 }), []);
      same(await tx.sessions.countLive([has.grant.id, newId('grant', tx.now)]), new Map([[has.grant.id, 1]]));
      assert.equal(await tx.sessions.activate(made.id, { backend: 42 }), true);
      assert.equal(await tx.sessions.activate(made.id, {}), false);

      const until = later(tx.now, 10_000 + has.entitlement.graceSeconds * 1000);
      const [renewed, ...others] = await tx.sessions.renew('brk_1', [made.id, newId('session', tx.now)], 10_000);
      same([renewed?.session.leaseUntil, renewed?.session.facts, renewed?.grant, others], [until, { pid: 1, backend: 42 }, has.grant, []]);
      same(await tx.sessions.renew('brk_2', [made.id], 10_000), [], 'another broker');
      same(await tx.sessions.lockLost(until, 5), []);
      same((await tx.sessions.lockLost(later(until, 1), 5)).map((s) => s.id), [made.id]);
      assert.equal((await tx.grants.awaiting(until, tx.now)).includes('lost'), false);
      assert.equal((await tx.grants.awaiting(later(until, 1), tx.now)).includes('lost'), true);
      await tx.sessions.letLapse(has.grant.id, made.part, later(until, 60_000));
      same(await tx.sessions.lockLost(until, 5), [], 'a lease is never lengthened');
      await tx.sessions.letLapse(has.grant.id, made.part, later(until, -5_000));
      same((await tx.sessions.lockLost(until, 5)).map((s) => s.id), [made.id], 'the target was read back');
      same(await tx.sessions.standing([made.id]), [{ session: made.id, cutReason: null, grantState: 'active', deadline: has.grant.deadline, ended: false }]);

      const [ended] = await tx.sessions.endAll([{ id: made.id, reason: 'client_closed', ...COUNTERS }], tx.now);
      same(ended, await tx.sessions.byId(made.id));
      same([ended?.state, ended?.endReason, ended?.bytesIn, ended?.recordingRoot], ['ended', 'client_closed', 5_000_000_000, null]);
      same(await tx.sessions.endAll([{ id: made.id, reason: 'deadline', ...COUNTERS }], tx.now), []);
      same(await tx.sessions.renew('brk_1', [made.id], 10_000), []);
    });
  });

  test(`${name}: a cut reaches what is live, keeps the first reason, and keeps a session from beginning`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const [a, b] = [await held(tx), await held(tx)];
      const [first, second, other] = [await opened(tx, a), await opened(tx, a), await opened(tx, b)];
      await tx.sessions.endAll([{ id: second.id, reason: 'client_closed', ...COUNTERS }], tx.now);
      same(await tx.sessions.cut({ principal: a.principal.id }, 'identity_disabled'), [first.id]);
      same(await tx.sessions.cut({ ids: [first.id] }, 'ended_by_admin'), [first.id]);
      same((await tx.sessions.byId(first.id))?.cutReason, 'identity_disabled');
      assert.equal(await tx.sessions.activate(first.id, {}), false);
      same(await tx.sessions.cut({ target: b.targets[0]?.id ?? 'tgt_' }, 'grant_ended'), [other.id]);
      same(await tx.sessions.cut({ grant: newId('grant', tx.now) }, 'grant_ended'), []);
    });
  });

  test(`${name}: chunks are kept once, without gaps, chained, and closed with the session`, async () => {
    await using use = await open();
    const { store } = use;
    const made = await store.transaction(async (tx) => opened(tx, await held(tx)));
    const plain = (text: string) => createHash('sha256').update(text).digest('hex');
    const append = (seq: number, text: string) => store.transaction((tx) => tx.sessions.appendChunk(made.id, seq, sealedLike(text), plain(text), 1, tx.now));
    assert.equal(await append(1, 'b'), false, 'a gap');
    assert.equal(await append(0, 'a'), true);
    assert.equal(await append(1, 'b'), true);
    assert.equal(await append(1, 'b'), true, 'the same again');
    await assert.rejects(append(0, 'forged'), refused('conflict'));
    assert.equal(await append(3, 'd'), false, 'a gap');
    const root = chainHash(chainHash(null, plain('a')), plain('b'));
    await store.transaction(async (tx) => {
      same((await tx.sessions.chunks(made.id, 0, 100)).map(({ seq, sealed, hash }) => [seq, textIn(sealed), hash]),
        [[0, 'a', chainHash(null, plain('a'))], [1, 'b', root]]);
      same((await tx.sessions.chunks(made.id, 0, 1)).map(({ seq }) => seq), [0]);
      same((await tx.sessions.chunks(made.id, 1, 5)).map(({ seq }) => seq), [1]);
      same((await tx.sessions.endAll([{ id: made.id, reason: 'client_closed', ...COUNTERS }], tx.now)).map((s) => s.recordingRoot), [root]);
    });
    await assert.rejects(append(2, 'late'), refused('wrong_state'));
    assert.equal(await store.transaction((tx) => tx.sessions.appendChunk(newId('session', tx.now), 0, sealedLike('x'), plain('x'), 1, tx.now)), false);
  });
}
