/** Of the store's contract: people, workloads, groups. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, person } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function principalContract(name: string, open: OpenStore): void {
  test(`${name}: principals are found, changed, owned and erased; a name is taken once`, async () => {
    await using use = await open();
    const owner = person({ administrator: true });
    const robot = { ...person(), id: newId('workload', new Date(0)), kind: 'workload' as const, owner: owner.id as `per_${string}` };
    await use.store.transaction(async (tx) => {
      await tx.principals.insert(owner);
      await tx.principals.insert(robot);
      await tx.principals.setPassword(owner.id, 'argon2id$...', null);
    });
    await use.store.transaction(async (tx) => {
      same(await tx.principals.byName(robot.name), robot);
      same(await tx.principals.lock(owner.id), owner);
      same(await tx.principals.ownedBy(owner.id as `per_${string}`), [robot]);
      same((await tx.principals.all()).map(({ id }) => id).sort(), [owner.id, robot.id].sort());
      const [first, second] = [owner.name, robot.name].sort() as [string, string];
      for (const [after, names] of [[null, [first]], [first, [second]], [second, []]] as const) same((await tx.principals.page({ after, limit: 1 })).map(({ name }) => name), names);
      same(await tx.principals.withIds([robot.id, newId('person', tx.now)]), [robot]);
      assert.deepEqual({ ...(await tx.principals.password(owner.id)) }, { hash: 'argon2id$...', issuedBy: null });
      assert.equal(await tx.principals.password(robot.id), null);
      await tx.principals.update({ ...robot, displayName: 'Renamed', disabledAt: tx.now });
      same(await tx.principals.byId(robot.id), { ...robot, displayName: 'Renamed', disabledAt: tx.now });
      await tx.principals.update({ ...owner, disabledAt: tx.now });
      const as = { name: `erased-${owner.id.slice(4)}`, displayName: 'Erased person' };
      assert.equal(await tx.principals.erasedAt(owner.id), null);
      same(await tx.principals.erase(owner.id, as), { requests: 0, sessions: 0 });
      assert.equal(await tx.principals.erase(owner.id, as), null);
      same(await tx.principals.erasedAt(owner.id), tx.now);
      same(await tx.principals.byId(owner.id), { ...owner, ...as, administrator: false, disabledAt: tx.now });
      assert.equal(await tx.principals.password(owner.id), null);
    });
    await assert.rejects(use.store.transaction((tx) => tx.principals.insert(person({ name: robot.name }))), refused('already_exists'));
  });

  test(`${name}: groups keep since when their members belong`, async () => {
    await using use = await open();
    const [a, b, c] = [person(), person(), person()];
    const group = { id: newId('group', new Date(0)), name: 'dba', title: 'Database people' };
    const [before, after] = [new Date('2026-02-01T00:00:00.123Z'), new Date('2026-03-01T00:00:00.000Z')];
    await use.store.transaction(async (tx) => {
      for (const each of [a, b, c]) await tx.principals.insert(each);
      await tx.catalogue.saveGroup(group);
      await tx.catalogue.setMembers(group.id, [a.id, b.id], before);
      await tx.catalogue.setMembers(group.id, [b.id, c.id], after);
      await tx.catalogue.saveGroup({ ...group, title: 'DBAs' });
    });
    await use.store.transaction(async (tx) => {
      same(await tx.catalogue.groups(), [{ ...group, title: 'DBAs' }]);
      same(new Set(await tx.catalogue.members(group.id)), new Set([{ principal: b.id, since: before }, { principal: c.id, since: after }]));
      same(await tx.principals.memberships(b.id), [{ group: group.id, groupName: 'dba', since: before }]);
      same(await tx.principals.memberships(a.id), []);
      same(await tx.principals.membershipsOf([a.id, b.id]), new Map([[b.id, [{ group: group.id, groupName: 'dba', since: before }]]]));
      const folder = { id: newId('folder', tx.now), name: 'sales', title: 'Sales', administrators: group.id };
      await tx.catalogue.saveFolder({ ...folder, administrators: null });
      await tx.catalogue.saveFolder(folder);
      same(await tx.catalogue.folders(), [folder]);
    });
  });
}
