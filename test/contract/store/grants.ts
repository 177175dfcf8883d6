/** Of the store's contract: grants. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GrantFilter } from '#app/ports/store.ts';
import type { Grant } from '#domain/grant.ts';
import type { Id } from '#domain/id.ts';
import { catalogue, entitlement, grant, held, later, newId, part, person, request, session } from '#test/worlds/store-world.ts';
import { claim, lane } from './claims.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function grantContract(name: string, open: OpenStore): void {
  test(`${name}: grants on a target come newest first, page by page, each once, by every other filter`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const target = (await catalogue(tx)).targets[0];
      assert.ok(target);
      const of = { ...(await catalogue(tx)), targets: [target], entitlement: entitlement([target.id, target.id]) };
      await tx.catalogue.saveEntitlement(of.entitlement);
      const made = [];
      for (const deadline of [later(tx.now, 1000), later(tx.now, 2000), later(tx.now, 3000)]) made.push(await held(tx, { of, deadline }));
      await held(tx);
      const ids = made.map(({ grant }) => grant.id).sort().toReversed();
      const list = async (more: GrantFilter, before: string | null, limit: number) => (await tx.grants.list({ target: target.id, ...more }, { before, limit })).map(({ id }) => id);
      for (const more of [{}, { live: true }, { state: 'active' }, { principal: of.principal.id }, { principal: of.principal.id, live: true }] as const) {
        same([await list(more, null, 2), await list(more, ids[1] ?? '', 2), await list(more, ids[2] ?? '', 2)], [ids.slice(0, 2), ids.slice(2), []], JSON.stringify(more));
      }
      for (const more of [{ live: false }, { overdue: true }, { state: 'ended' }, { principal: newId('person', tx.now) }] as const) same(await list(more, null, 5), [], JSON.stringify(more));
    });
  });

  test(`${name}: what concerns somebody comes newest first, page by page, each once, whatever ways it concerns them in`, async () => {
    await using use = await open();
    await use.store.transaction(async (tx) => {
      const { principal: ana, entitlement: of, targets } = await catalogue(tx);
      const other = (await catalogue(tx)).principal;
      const ownedBy = (owner: string) => person({ id: newId('workload', tx.now), kind: 'workload', owner: owner as Id<'person'> });
      const [mine, theirs] = [ownedBy(ana.id), ownedBy(other.id)];
      for (const one of [mine, theirs]) await tx.principals.insert(one);
      const asked: { request: string; grant: string; live: boolean }[] = [];
      // Her own, her workload's, one of another's on her behalf, and her workload's on her behalf: the last concerns her twice.
      for (let n = 0; n < 8; n++) {
        const { principal, onBehalfOf } = [{ principal: ana, onBehalfOf: null }, { principal: mine, onBehalfOf: null }, { principal: theirs, onBehalfOf: ana.id }, { principal: mine, onBehalfOf: ana.id }][n % 4] ?? {};
        const made = request(of, principal?.id ?? ana.id, tx.now, { onBehalfOf: (onBehalfOf ?? null) as Grant['onBehalfOf'] });
        await tx.requests.insert(made);
        await tx.requests.decide(made.id, 'approved', tx.now, null);
        const held = grant(made, tx.now);
        await tx.grants.insert(held);
        for (const ordinal of of.parts.keys()) await tx.parts.insert(part(held, ordinal));
        if (n >= 4) await tx.grants.revokeAll([held.id], 'revoked', tx.now).then(() => tx.grants.endAll([held.id], tx.now));
        asked.push({ request: made.id, grant: held.id, live: n < 4 });
      }
      await held(tx, { of: { principal: other, entitlement: of, targets } });
      const concerning = { principals: [ana.id, mine.id], behalf: ana.id };
      const target = targets[0]?.id ?? newId('target', tx.now);
      const pages = async (list: (before: string | null) => Promise<readonly { readonly id: string }[]>) => {
        const all: string[] = [];
        for (let page = await list(null); page.length > 0; page = await list(all.at(-1) ?? null)) all.push(...page.map(({ id }) => id));
        return all;
      };
      const newest = (ids: readonly string[]) => ids.toSorted().toReversed();
      same(await pages((before) => tx.requests.list({ concerning }, { before, limit: 3 })), newest(asked.map((one) => one.request)));
      same(await pages((before) => tx.requests.list({ concerning, state: 'denied' }, { before, limit: 3 })), []);
      same(await pages((before) => tx.grants.list({ concerning }, { before, limit: 3 })), newest(asked.map((one) => one.grant)));
      same(await pages((before) => tx.grants.list({ concerning, live: true }, { before, limit: 1 })), newest(asked.filter((one) => one.live).map((one) => one.grant)));
      same(await pages((before) => tx.grants.list({ concerning, target, state: 'ended' }, { before, limit: 2 })), newest(asked.filter((one) => !one.live).map((one) => one.grant)));
      same(await pages((before) => tx.grants.list({ concerning: { principals: [theirs.id], behalf: theirs.id } }, { before, limit: 5 })), newest(asked.filter((_, n) => n % 4 === 2).map((one) => one.grant)));
    });
  });

  test(`${name}: a grant reads back, is listed by everything, and needs an approved request`, async () => {
    await using use = await open();
    const { store } = use;
    const has = await store.transaction((tx) => held(tx));
    await store.transaction(async (tx) => {
      same(await tx.grants.byId(has.grant.id), has.grant);
      same(await tx.grants.lock(has.grant.id), has.grant);
      same(await tx.grants.byRequest(has.request.id), has.grant);
      same(await tx.grants.withIds([has.grant.id, newId('grant', tx.now)]), [has.grant]);
      same(await tx.grants.ofRequests([has.request.id, newId('request', tx.now)]), [has.grant]);
      same((await tx.requests.withIds([has.request.id, newId('request', tx.now)])).map(({ id }) => id), [has.request.id]);
      same(await tx.parts.ofGrants([has.grant.id, newId('grant', tx.now)]), new Map([[has.grant.id, await tx.parts.ofGrant(has.grant.id)]]));
      assert.equal(await tx.grants.countLive(has.principal.id), 1);
      const target = has.targets[0]?.id ?? 'tgt_';
      for (const filter of [{ principal: has.principal.id }, { target }, { entitlement: has.entitlement.id }, { state: 'active' }, { live: true }, { overdue: false }] as const) {
        same((await tx.grants.list(filter, { before: null, limit: 5 })).map((g) => g.id), [has.grant.id], JSON.stringify(filter));
      }
      for (const filter of [{ principal: newId('person', tx.now) }, { target: newId('target', tx.now) }, { state: 'ended' }, { live: false }, { overdue: true }] as const) {
        same(await tx.grants.list(filter, { before: null, limit: 5 }), [], JSON.stringify(filter));
      }
      same((await tx.grants.lockLive({ principal: has.principal.id })).map((g) => g.id), [has.grant.id]);
      same((await tx.grants.lockLive({ target })).map((g) => g.id), [has.grant.id]);
      same((await tx.grants.lockLive({ entitlement: has.entitlement.id })).map((g) => g.id), [has.grant.id]);
      same(await tx.grants.lockLive({ entitlement: newId('entitlement', tx.now) }), []);
      await tx.grants.update({ ...has.grant, deadline: later(tx.now, 900_000) });
      same((await tx.grants.byId(has.grant.id))?.deadline, later(tx.now, 900_000));
    });
    await assert.rejects(store.transaction(async (tx) => {
      const asked = request(has.entitlement, has.principal.id, tx.now);
      await tx.requests.insert(asked);
      await tx.grants.insert(grant(asked, tx.now));
    }), refused('conflict'));
  });

  test(`${name}: what starts, falls due or grows stale is found, oldest first, and not twice at once`, async () => {
    await using use = await open();
    const { store } = use;
    const [scheduled, activating, first, second] = await store.transaction(async (tx) => [
      await held(tx, { state: 'scheduled' }), await held(tx, { state: 'activating' }),
      await held(tx, { deadline: later(tx.now, -2000) }), await held(tx, { deadline: later(tx.now, -1000) })] as const);
    const ids = (grants: readonly Grant[]) => grants.map((g) => g.id);
    await store.transaction(async (tx) => {
      same((await tx.grants.awaiting(tx.now, tx.now)).toSorted(), ['due', 'starting']);
      same((await tx.grants.awaiting(later(tx.now, 600_000), tx.now)).toSorted(), ['due', 'stale', 'starting']);
      same(ids(await tx.grants.lockStarting(tx.now, 5)), [scheduled.grant.id]);
      same(ids(await tx.grants.lockStale(later(tx.now, 600_000), 5)), [activating.grant.id]);
      same(ids(await tx.grants.lockStale(tx.now, 5)), []);
      same(ids(await tx.grants.lockDue(tx.now, 1)), [first.grant.id]);
      same(await tx.grants.nextInstant(later(tx.now, 1)), first.grant.deadline);
      // While they are locked, another node goes on with the rest.
      same(ids(await store.transaction((other) => other.grants.lockDue(other.now, 5))), [second.grant.id]);
    });
  });

  test(`${name}: a revoke takes parts and sessions along, and nothing brings the grant back`, async () => {
    await using use = await open();
    const { store } = use;
    const has = await store.transaction((tx) => held(tx, { targets: 2 }));
    const [claimed] = await claim(store, 'provision', { limit: 1 });
    assert.ok(claimed);
    const open1 = await store.transaction(async (tx) => {
      const live = session(has.grant, claimed.part, tx.now);
      await tx.sessions.insert(live);
      await tx.grants.revokeAll([has.grant.id, newId('grant', tx.now)], 'revoked', tx.now);
      return live;
    });
    await store.transaction(async (tx) => {
      const gone = await tx.grants.byId(has.grant.id);
      same([gone?.state, gone?.endReason], ['revoking', 'revoked']);
      same((await tx.sessions.byId(open1.id))?.cutReason, 'grant_ended');
      const parts = await tx.parts.ofGrant(has.grant.id);
      // The one that was claimed must be looked at; the other was never touched.
      same(parts.map((p) => [p.work, p.state]).sort(), [[null, 'absent'], ['withdraw', 'planned']]);
      await tx.grants.revokeAll([has.grant.id], 'expired', later(tx.now, 1000));
      same(await tx.grants.byId(has.grant.id), gone);
      assert.equal(await tx.parts.present(claimed.part.id, claimed.part.fence, {}, null), false);
      same(await tx.grants.lockFinished(5), []);
    });
    await assert.rejects(store.transaction((tx) => tx.grants.update({ ...has.grant, state: 'active' })), refused('conflict'));
    await assert.rejects(store.transaction((tx) => tx.grants.endAll([has.grant.id], tx.now)), refused('conflict'));

    const [removal] = await claim(store, 'withdraw');
    assert.equal(removal?.part.fence, claimed.part.fence + 1);
    await store.transaction(async (tx) => assert.equal(await tx.parts.absent(removal?.part.id ?? 'prt_', removal?.part.fence ?? 0, { read: 'gone' }), true));
    same(await store.transaction((tx) => tx.grants.lockFinished(5)), [], 'a session lives');
    await store.transaction(async (tx) => {
      const end = { id: open1.id, reason: 'grant_ended', statements: 1, bytesIn: 2, bytesOut: 3 } as const;
      const told = await tx.sessions.endAll([end, end], tx.now);
      same(told.map((s) => [s.id, s.state, s.endedAt, s.endReason, s.statements, s.bytesIn, s.bytesOut]), [[open1.id, 'ended', tx.now, 'grant_ended', 1, 2, 3]]);
      same(await tx.sessions.endAll([end], later(tx.now, 1)), [], 'told twice, it counts once');
      assert.ok((await tx.grants.awaiting(tx.now, tx.now)).includes('finished'));
      same((await tx.grants.lockFinished(5)).map((g) => g.id), [has.grant.id]);
      await tx.grants.endAll([has.grant.id], tx.now);
      same((await tx.grants.byId(has.grant.id))?.endedAt, tx.now);
      same(await tx.grants.lockFinished(5), []);
      assert.equal(await tx.grants.countLive(has.principal.id), 0);
    });
  });

  test(`${name}: taken back before its start, a grant ends without a look at any target`, async () => {
    await using use = await open();
    const has = await use.store.transaction((tx) => held(tx, { state: 'scheduled', targets: 2 }));
    await use.store.transaction(async (tx) => {
      await tx.grants.revokeAll([has.grant.id], 'completed', tx.now);
      same(await tx.parts.claim({ ...lane, work: 'withdraw', now: tx.now }), []);
      same((await tx.grants.lockFinished(5)).map((g) => g.id), [has.grant.id]);
      await tx.grants.endAll([has.grant.id], tx.now);
      same(await tx.parts.liveObjects(has.parts.map((p) => p.objectName)), new Set());
    });
  });

  test(`${name}: a removal that is late is found once`, async () => {
    await using use = await open();
    const has = await use.store.transaction((tx) => held(tx));
    await use.store.transaction(async (tx) => {
      await tx.grants.revokeAll([has.grant.id], 'expired', tx.now);
      same(await tx.grants.lockOverdue(tx.now, tx.now, 5), []);
      assert.deepEqual([await tx.grants.awaiting(tx.now, tx.now), await tx.grants.awaiting(tx.now, later(tx.now, 1))].map((found) => found.includes('overdue')), [false, true]);
      same((await tx.grants.lockOverdue(later(tx.now, -7000), later(tx.now, -2000), 5)).length, 0);
      same((await tx.grants.lockOverdue(later(tx.now, -65_000), later(tx.now, -60_000), 5)).length, 1, 'the clock went back by a minute');
      const [late] = await tx.grants.lockOverdue(later(tx.now, 1), later(tx.now, 1), 5);
      assert.ok(late);
      await tx.grants.markOverdue([late.id, newId('grant', tx.now)], tx.now);
      same(await tx.grants.lockOverdue(later(tx.now, 1), later(tx.now, 1), 5), []);
      await held(tx);
      same(await tx.entries.counts(), { grants: { revoking: 1, active: 1 }, overdue: 1, sessions: 0, logSize: 0, unreachableTargets: 0 });
      same((await tx.grants.list({ overdue: true }, { before: null, limit: 5 })).map((g) => g.id), [has.grant.id]);
    });
  });
}
