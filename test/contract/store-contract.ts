/**
 * What every implementation of the port `Store` must do. Each test gets a store of its own:
 *
 *     storeContract('postgres', async () => ({ store, keysDown, [Symbol.asyncDispose]: ... }));
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogCursor } from '#app/ports/entry-table.ts';
import type { Store } from '#app/ports/store.ts';
import { grantEnded } from '#domain/events/grant-events.ts';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';
import { catalogue, entitlement, held, later, newId, person, sealedLike, target, textIn } from '../worlds/store-world.ts';
import { accessContract } from './store-contract-access.ts';
import { lifecycleContract } from './store-contract-lifecycle.ts';

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** From here on personal parts can't be sealed. */
  keysDown(): void;
  /** Gives every waiting entry its number. */
  sequence(): Promise<void>;
}

export type OpenStore = () => Promise<StoreUnderTest>;

export function refused(code: RefusalCode) {
  return (error: unknown) => {
    assert.ok(error instanceof Refusal, `expected a refusal, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

export function same(actual: unknown, expected: unknown, message?: string): void {
  assert.deepEqual(actual, expected, message);
}

export function storeContract(name: string, open: OpenStore): void {
  transactionContract(name, open);
  catalogueContract(name, open);
  logContract(name, open);
  lifecycleContract(name, open);
  accessContract(name, open);
}

function transactionContract(name: string, open: OpenStore): void {
  test(`${name}: a transaction commits when its work resolves, and leaves nothing when it rejects`, async () => {
    await using use = await open();
    const { store } = use;
    const somebody = person();
    await assert.rejects(store.transaction(async (tx) => {
      await tx.principals.insert(somebody);
      throw new Refusal('forbidden', 'no');
    }), refused('forbidden'));
    assert.equal(await store.transaction((tx) => tx.principals.byId(somebody.id)), null);
    await store.transaction((tx) => tx.principals.insert(somebody));
    same(await store.transaction((tx) => tx.principals.byId(somebody.id)), somebody);
  });

  test(`${name}: the time is the store's, in whole milliseconds, and never goes back`, async () => {
    await using use = await open();
    const [first, second] = [await use.store.transaction(async (tx) => tx.now), await use.store.transaction(async (tx) => tx.now)];
    assert.ok(Number.isInteger(first.getTime()) && second >= first);
    assert.ok(Math.abs(first.getTime() - Date.now()) < 5_000);
  });

  test(`${name}: two who lock in opposite orders both get through`, async () => {
    await using use = await open();
    const [a, b] = await use.store.transaction(async (tx) => [await held(tx), await held(tx)] as const);
    let runs = 0;
    const both = new Barrier(2);
    const cross = (first: typeof a, second: typeof a) => use.store.transaction(async (tx) => {
      runs += 1;
      await tx.grants.lock(first.grant.id);
      await both.arrive();
      await tx.grants.lock(second.grant.id);
    });
    await Promise.all([cross(a, b), cross(b, a)]);
    assert.ok(runs >= 3, 'one of them was run again');
  });

  test(`${name}: listeners hear of what was committed, once for equal notices, and not of what was rolled back`, async () => {
    await using use = await open();
    const heard: string[] = [];
    const stop = use.store.listen('requests', (payload) => heard.push(payload));
    await until(async () => {
      await use.store.transaction((tx) => tx.notify('requests', 'ready'));
      return heard.includes('ready');
    });
    heard.length = 0;
    await assert.rejects(use.store.transaction(async (tx) => {
      await tx.notify('requests', 'undone');
      throw new Error('no');
    }));
    await use.store.transaction(async (tx) => {
      await tx.notify('requests', 'one');
      await tx.notify('requests', 'one');
      await tx.notify('work', 'other');
    });
    await until(async () => heard.some((payload) => payload !== 'ready'));
    same(heard.filter((payload) => payload !== 'ready'), ['one']);
    stop();
  });
}

function catalogueContract(name: string, open: OpenStore): void {
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

function logContract(name: string, open: OpenStore): void {
  test(`${name}: an entry commits or rolls back with its change, and keeps its order`, async () => {
    await using use = await open();
    const { store } = use;
    const subject = person();
    await store.transaction((tx) => tx.principals.insert(subject));
    await assert.rejects(store.transaction(async (tx) => {
      await tx.log({ type: 'test.undone', actor: 'system', data: {} });
      throw new Error('no');
    }));
    const at = await store.transaction(async (tx) => {
      await tx.log({ type: 'test.first', actor: subject.id, data: { principal: subject.id, b: 1, a: [true, null] }, personal: { subject: subject.id, data: { reason: 'private words' } } });
      await tx.log({ type: 'test.second', actor: 'system', data: { grant: 'grt_x', request: 'req_x' } });
      return tx.now;
    });
    await use.sequence();
    await store.transaction(async (tx) => {
      const entries = await tx.entries.from(0, 10);
      same(entries.map(({ index, type }) => [index, type]), [[0, 'test.first'], [1, 'test.second']]);
      const body = JSON.parse(entries[0]?.body ?? '') as { personal: { sealed: string } };
      same(body, { v: 1, id: entries[0]?.id, at: at.toISOString(), type: 'test.first', actor: subject.id, data: { principal: subject.id, b: 1, a: [true, null] },
        personal: { subject: subject.id, alg: 'A256GCM', sealed: body.personal.sealed } });
      assert.ok(!entries[0]?.body.includes('private words'));
      same(await tx.entries.from(1, 10), entries.slice(1));
      same((await tx.entries.list({}, 10, null)).entries.map(({ index }) => index), [1, 0]);
      same((await tx.entries.list({}, 10, { below: 1, arrivedBefore: null })).entries.map(({ index }) => index), [0]);
      const [principal, grant, request] = [subject.id, 'grt_x' as const, 'req_x' as const];
      for (const [filter, index] of [[{ principal }, 0], [{ grant }, 1], [{ request }, 1], [{ type: 'test.second' }, 1]] as const) {
        same((await tx.entries.list(filter, 10, null)).entries.map((e) => e.index), [index]);
      }
      const head = await tx.entries.head();
      assert.equal(head.size, 2);
      assert.ok(head.checkpoint);
      same(await tx.entries.counts(), { grants: {}, overdue: 0, sessions: 0, logSize: 2, unreachableTargets: 0 });
      assert.equal((await tx.entries.tile(0, 0))?.length, 64);
      assert.equal(await tx.entries.tile(1, 0), null);
    });
  });

  test(`${name}: a page that ends among entries without a number goes on with the older ones, also when they get theirs meanwhile`, async () => {
    await using use = await open();
    const tell = (...types: readonly string[]) => use.store.transaction(async (tx) => {
      for (const type of types) await tx.log({ type, actor: 'system', data: { grant: 'grt_x' } });
    });
    await tell('test.zero', 'test.one');
    await use.sequence();
    await tell('test.two', 'test.three', 'test.four');
    const page = (cursor: LogCursor | null) => use.store.transaction((tx) => tx.entries.list({ grant: 'grt_x' }, 2, cursor));
    const first = await page(null);
    const rest = async (): Promise<string[]> => {
      const seen: string[] = [];
      for (let { next } = first; next !== null; ) {
        const more = await page(next);
        seen.push(...more.entries.map(({ type }) => type));
        next = more.next;
      }
      return seen;
    };
    same(first.entries.map(({ index, type }) => [index, type]), [[null, 'test.four'], [null, 'test.three']]);
    same(await rest(), ['test.two', 'test.one', 'test.zero']);
    await use.sequence();
    await tell('test.five');
    same(await rest(), ['test.two', 'test.one', 'test.zero']);
    same(await use.store.transaction((tx) => tx.entries.numbersOf('grt_x', [], 4, 3)), [0, 1, 2]);
    same(await use.store.transaction((tx) => tx.entries.numbersOf('grt_y', ['req_y'], 4, 3)), []);
  });

  test(`${name}: with the key provider down nothing new is told of a person, and removals go on`, async () => {
    await using use = await open();
    const has = await use.store.transaction((tx) => held(tx));
    const personal = { subject: has.principal.id, data: { note: 'words' } };
    use.keysDown();
    await assert.rejects(use.store.transaction((tx) => tx.log({ type: 'request.submitted', actor: 'system', data: {}, personal })), refused('unavailable'));
    await use.store.transaction(async (tx) => {
      for (const type of ['grant.revoking', 'grant.part_absent', 'grant.overdue', 'session.ended']) await tx.log({ type, actor: 'system', data: {}, personal });
      await tx.log(grantEnded(has.grant, tx.now));
    });
    await use.sequence();
    const entries = await use.store.transaction((tx) => tx.entries.from(0, 10));
    assert.equal(entries.length, 5);
    assert.ok(entries.every(({ body }) => (JSON.parse(body) as { personal: unknown }).personal === null));
  });

  test(`${name}: who was erased is told of without a personal part`, async () => {
    await using use = await open();
    const subject = person();
    await use.store.transaction(async (tx) => {
      await tx.principals.insert(subject);
      await tx.principals.update({ ...subject, disabledAt: tx.now });
      await tx.principals.erase(subject.id, { name: `erased-${subject.id.slice(4)}`, displayName: 'Erased person' });
      await tx.log({ type: 'test.told', actor: subject.id, data: {}, personal: { subject: subject.id, data: { reason: 'x' } } });
    });
    const { entries: [entry] } = await use.store.transaction((tx) => tx.entries.list({}, 1, null));
    same([entry?.index, (JSON.parse(entry?.body ?? '') as { personal: unknown }).personal], [null, null]);
    assert.ok(entry && later(entry.at, 60_000) > new Date());
  });
}

/** Lets a number of racers go on together. */
export class Barrier {
  readonly #needed: number;
  readonly #waiting: (() => void)[] = [];
  #done = false;
  constructor(needed: number) {
    this.#needed = needed;
  }
  arrive(): Promise<void> {
    if (this.#done) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length < this.#needed) return;
      this.#done = true;
      for (const go of this.#waiting) go();
    });
  }
}

export async function until(holds: () => Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await holds());) {
    assert.ok(performance.now() < end, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
