import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knowActor, type Actor } from '#app/actor.ts';
import type { App } from '#app/app.ts';
import { endSession } from '#app/gate/end-session.ts';
import type { GroupId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { postgresStoreWorld, quiet } from '#test/worlds/postgres-store-world.ts';
import { catalogue, entitlement, held, newId, person, session } from '#test/worlds/store-world.ts';
import { Directory } from './directory.ts';
import { presentSession } from './present-session.ts';

test('what is shown as allowed is: its holder, the reviewers of its grant and administrators end a session', async () => {
  await using world = await postgresStoreWorld();
  const app = { store: world.store, journal: quiet, connectors: new Map() } as unknown as App;
  const made = await world.store.transaction(async (tx) => {
    const of = await catalogue(tx);
    const group = { id: newId('group', tx.now) as GroupId, name: 'leads', title: '' };
    await tx.catalogue.saveGroup(group);
    const over = entitlement(of.targets.map(({ id }) => id), { stages: [{ name: 'lead', groups: [group.id], required: 1 }] });
    await tx.catalogue.saveEntitlement(over);
    const has = await held(tx, { of: { ...of, entitlement: over } });
    const [reviewer, administrator, stranger] = [person(), person({ administrator: true }), person()];
    for (const one of [reviewer, administrator, stranger]) await tx.principals.insert(one);
    await tx.catalogue.setMembers(group.id, [reviewer.id], tx.now);
    return { has, people: { holder: of.principal, reviewer, administrator, stranger } };
  });
  const { has, people } = made;
  for (const [who, { id: viewer }] of Object.entries(people)) {
    const shown = await world.store.transaction(async (tx) => {
      const [part] = has.parts;
      assert.ok(part);
      const live = session(has.grant, part, tx.now, { state: 'active' });
      await tx.sessions.insert(live);
      return presentSession(new Directory(app, tx, await knowActor(tx, viewer)), live);
    });
    const actor: Actor = { id: viewer, authentication: { method: 'link', at: new Date(), phishingResistant: true, by: 'key_1' }, clientAddress: null };
    const ended = await endSession(app, actor, shown.id as `ses_${string}`).then(() => true, (error: unknown) => {
      assert.ok(error instanceof Refusal, String(error));
      return false;
    });
    assert.deepEqual([shown.actions.end.allowed, ended], [who !== 'stranger', who !== 'stranger'], who);
  }
});
