/** Of the store's contract: targets, entitlements, policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue, entitlement, later, newId, person, sealedLike, target, textIn } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function catalogueContract(name: string, open: OpenStore): void {
  test(`${name}: targets with credential and health`, async () => {
    await using use = await open();
    const made = target();
    await use.store.transaction(async (tx) => {
      await tx.catalogue.saveTarget(made);
      assert.equal(await tx.catalogue.credential(made.id), null);
      await tx.catalogue.setCredential(made.id, sealedLike('sealed'));
      await tx.catalogue.saveTarget({ ...made, config: { host: 'moved' }, retiredAt: tx.now });
      same(textIn(await tx.catalogue.credential(made.id)), 'sealed');
      same(await tx.catalogue.target(made.id), { ...made, config: { host: 'moved' }, retiredAt: tx.now });
      same((await tx.catalogue.targetByName(made.name))?.id, made.id);
      same((await tx.catalogue.targets()).map(({ id }) => id), [made.id]);
      same(await tx.catalogue.health(made.id), { checkedAt: null, unreachableSince: null, problem: null, skewMs: null, version: null, sweptAt: null });
      await tx.catalogue.setHealth(made.id, { checkedAt: tx.now, unreachableSince: tx.now, problem: 'down', skewMs: -7 });
      await tx.catalogue.setHealth(made.id, { unreachableSince: null, version: '18.1' });
      same(await tx.catalogue.health(made.id), { checkedAt: tx.now, unreachableSince: null, problem: 'down', skewMs: -7, version: '18.1', sweptAt: null });
      assert.equal(await tx.catalogue.health(newId('target', tx.now)), null);
      same(await tx.catalogue.claimSweeps(tx.now), [made.id]);
      same(await tx.catalogue.claimSweeps(new Date(tx.now.getTime() - 1)), [], 'claimed');
      await tx.catalogue.setHealth(made.id, { sweptAt: later(tx.now, 120_000) });
      same(await tx.catalogue.claimSweeps(later(tx.now, -60_000)), [made.id], 'the clock went back');
      await tx.catalogue.setHealth(made.id, { sweptAt: null, unreachableSince: tx.now });
      same(await tx.catalogue.claimSweeps(tx.now), [], 'it does not answer');
      same(await tx.catalogue.healthOf([made.id, newId('target', tx.now)]), new Map([[made.id, { ...(await tx.catalogue.health(made.id)), hasCredential: true }]]));
      same((await tx.catalogue.targetsWithIds([made.id, newId('target', tx.now)])).map(({ id }) => id), [made.id]);
      same((await tx.catalogue.targetPage({ after: null, limit: 5 })).map(({ id }) => id), [made.id], 'retired ones as well');
      same(await tx.catalogue.targetPage({ after: made.name, limit: 5 }), []);
    });
  });

  test(`${name}: an entitlement reads back as it was saved; a revision is written once`, async () => {
    await using use = await open();
    const one = await use.store.transaction((tx) => catalogue(tx, { targets: 2 }));
    const { entitlement: saved } = one;
    const next = { ...saved, revision: 2, maxDuration: 60, retiredAt: new Date('2026-05-05T05:05:05.005Z') };
    await use.store.transaction(async (tx) => {
      same(await tx.catalogue.entitlement(saved.id), saved);
      same(await tx.catalogue.entitlementPage({ after: null, limit: 5 }), [saved]);
      same(await tx.catalogue.entitlementPage({ after: saved.name, limit: 5 }), []);
      await tx.catalogue.saveEntitlement(next);
      await tx.catalogue.saveEntitlement(next);
      same(await tx.catalogue.entitlementByName(saved.name), next);
      same(await tx.catalogue.entitlements(), [next]);
      same(await tx.catalogue.entitlementPage({ after: null, limit: 5 }), [], 'it is retired');
    });
    await assert.rejects(use.store.transaction((tx) => tx.catalogue.saveEntitlement({ ...saved, revision: 2, maxDuration: 90 })), refused('conflict'));
    await assert.rejects(use.store.transaction((tx) => tx.catalogue.saveEntitlement(entitlement([], { name: saved.name }))), refused('already_exists'));
  });

  test(`${name}: policies are published by number, each once`, async () => {
    await using use = await open();
    const sources = [{ file: 'a.cedar', text: 'permit (principal, action, resource);' }];
    await use.store.transaction(async (tx) => {
      const author = person();
      await tx.principals.insert(author);
      assert.equal(await tx.policies.current(), null);
      await tx.policies.publish(1, sources, null, tx.now);
      await tx.policies.publish(2, [], author.id, tx.now);
      same(await tx.policies.current(), { version: 2, sources: [], publishedBy: author.id });
      same(await tx.policies.version(1), { version: 1, sources });
    });
    await assert.rejects(use.store.transaction((tx) => tx.policies.publish(2, sources, null, tx.now)), refused('conflict'));
  });
}
