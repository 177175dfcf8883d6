import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from '#app/ports/policy.ts';
import type { GroupId, KeyId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { AccessRequest } from '#domain/request.ts';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { catalogue, entitlement, monotonic, newId, person, request } from '#test/worlds/store-world.ts';
import type { Actor } from './actor.ts';
import type { App } from './app.ts';
import { disablePrincipal } from './disable-principal.ts';
import { reviewRequest } from './review-request.ts';

const ALLOWED: Verdict = { allowed: true, policyVersion: 1, satisfied: [], forbidden: [], nearest: [], failed: [] };

test('B13 an approval and a disabling that race: neither waits for the other in a ring, and no grant outlives it', async () => {
  await using world = await postgresStoreWorld();
  const { store } = world;
  const app = { store, newId, journal: quiet, monotonic, policy: { decide: () => ALLOWED, validate: () => [] } } as unknown as App;
  const { actors, over } = await store.transaction(async (tx) => {
    const { targets } = await catalogue(tx);
    const group = { id: newId('group', tx.now) as GroupId, name: 'leads', title: '' };
    await tx.catalogue.saveGroup(group);
    const over = entitlement(targets.map(({ id }) => id), { stages: [{ name: 'lead', groups: [group.id], required: 1 }] });
    await tx.catalogue.saveEntitlement(over);
    const [lead, admin] = [person(), person({ administrator: true })];
    const actors: Actor[] = [];
    for (const one of [lead, admin]) {
      await tx.principals.insert(one);
      const key = newId('key', tx.now) as KeyId;
      await tx.credentials.insertKey({ id: key, principal: one.id, label: 'k', publicKey: key, createdAt: tx.now, signedInAt: tx.now, signInMethod: 'link', issuedBy: null, lastUsedAt: null, revokedAt: null });
      actors.push({ id: one.id, authentication: { method: 'link', at: tx.now, phishingResistant: true, by: key }, clientAddress: null });
    }
    // In the group since before anything was asked for.
    await tx.catalogue.setMembers(group.id, [lead.id], new Date(tx.now.getTime() - 60_000));
    return { actors: actors as [Actor, Actor], over };
  });
  const [lead, admin] = actors;
  const input = (asked: AccessRequest) => ({ decision: 'approve', hash: asked.hash, reason: null, durationSeconds: null, scopes: null }) as const;
  const outcomes = { approved: 0, late: 0 };
  for (let round = 0; round < 60; round++) {
    const { somebody, asked } = await store.transaction(async (tx) => {
      const somebody = person();
      await tx.principals.insert(somebody);
      const asked = request(over, somebody.id, tx.now);
      await tx.requests.insert(asked);
      return { somebody, asked };
    });
    const review = () => reviewRequest(app, lead, asked.id, input(asked));
    // At once, and with a head start of up to 2 ms for either in turn, so that either comes first some of the time on any machine.
    const headStart = Math.trunc(round / 2) % 3;
    const second = (work: () => Promise<unknown>) => (headStart === 0 ? work() : sleep(headStart).then(work));
    const both = round % 2 === 0
      ? [review(), second(() => disablePrincipal(app, admin, somebody.id))]
      : [second(review), disablePrincipal(app, admin, somebody.id)];
    const [reviewed] = await Promise.allSettled(both);
    assert.ok(reviewed);
    if (reviewed.status === 'fulfilled') outcomes.approved += 1;
    else if (reviewed.reason instanceof Refusal && reviewed.reason.code === 'wrong_state') outcomes.late += 1;
    else throw reviewed.reason;
  }
  const live = await store.transaction((tx) => tx.grants.list({ live: true }, { before: null, limit: 100 }));
  assert.ok(live.every(({ state }) => state === 'revoking'));
  assert.ok(outcomes.approved > 0 && outcomes.late > 0, JSON.stringify(outcomes));
  // A backend tells its counts when it has been idle for a second.
  await sleep(1500);
  const { rows } = await world.db.pool.query<{ deadlocks: number }>('select deadlocks::integer from pg_stat_database where datname = current_database()');
  assert.equal(rows[0]?.deadlocks, 0);
});
