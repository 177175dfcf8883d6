/** Of the store's contract: root keys, who has them, what is sealed under each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TargetId } from '#domain/id.ts';
import { held, later, session, target } from '#test/worlds/store-world.ts';
import { refused, same, until, type OpenStore } from './under-test.ts';

const [OLD, NEW] = ['0a'.repeat(8), '0b'.repeat(8)] as const;

/** As src/secrets/sealer.ts lays it out: version, root key, a nonce and the wrapped key, the payload. */
const sealed = (under: string, payload: string, wrapped = 7) => Buffer.concat([Buffer.of(1), Buffer.from(under, 'hex'), Buffer.alloc(60, wrapped), Buffer.from(payload)]);

export function rootKeyContract(name: string, open: OpenStore): void {
  test(`${name}: root keys are known in the order in which they came into force, each once`, async () => {
    await using use = await open();
    const before = await use.store.transaction((tx) => tx.rootKeys.known());
    const bringIn = (id: string) => use.store.transaction((tx) => tx.rootKeys.bringIn(id));
    await bringIn(NEW);
    await Promise.all([bringIn(OLD), bringIn(OLD)]);
    await bringIn(NEW);
    same(await use.store.transaction((tx) => tx.rootKeys.known()), [...before, NEW, OLD]);
    await use.store.transaction((tx) => tx.rootKeys.forget(NEW));
    same(await use.store.transaction((tx) => tx.rootKeys.known()), [...before, OLD]);
  });

  test(`${name}: nothing is sealed under an unknown root key, and none is forgotten under which something is`, async () => {
    await using use = await open();
    const { store } = use;
    const made = target();
    await store.transaction((tx) => tx.catalogue.saveTarget(made));
    const keep = (under: string) => store.transaction((tx) => tx.catalogue.setCredential(made.id, sealed(under, 'x')));
    const forget = (id: string) => store.transaction((tx) => tx.rootKeys.forget(id));
    await assert.rejects(keep(OLD), refused('conflict'));
    for (const id of [OLD, NEW]) await store.transaction((tx) => tx.rootKeys.bringIn(id));
    await keep(OLD);
    await assert.rejects(forget(OLD), refused('conflict'));
    await keep(NEW);
    await forget(OLD);
    await store.transaction((tx) => tx.rootKeys.bringIn(OLD));

    // One of them is late, and told so.
    const wrote = Promise.withResolvers<void>();
    const slow = store.transaction(async (tx) => {
      await tx.catalogue.setCredential(made.id, sealed(OLD, 'y'));
      wrote.resolve();
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
    const settled = await Promise.allSettled([slow, wrote.promise.then(() => forget(OLD))]);
    same(settled.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    for (const each of settled) if (each.status === 'rejected') refused('conflict')(each.reason);
  });

  test(`${name}: who has which root keys is told by those who live, and waits for who decides by it`, async () => {
    await using use = await open();
    const { store } = use;
    const holder = (server: string, host: string, keys: readonly string[] = [OLD]) => ({ server, host, keys, sealsUnder: OLD });
    const hold = (of: ReturnType<typeof holder>) => store.transaction((tx) => tx.rootKeys.hold(of));
    const holders = (withinMs = 60_000) => store.transaction((tx) => tx.rootKeys.holders(withinMs));
    for (const each of [holder('c', 'west'), holder('b', 'west'), holder('a', 'west'), holder('d', 'east')]) await hold(each);
    await hold(holder('b', 'west', [NEW, OLD]));
    await store.transaction((tx) => tx.rootKeys.release('a'));
    same((await holders()).map((each) => ({ ...each })), [holder('d', 'east'), holder('b', 'west', [NEW, OLD]), holder('c', 'west')]);
    await until(async () => (await holders(1)).length === 0);

    let held = false;
    let late: Promise<unknown> = Promise.resolve();
    await store.transaction(async (tx) => {
      await tx.rootKeys.lockHolders();
      late = hold(holder('e', 'east')).then(() => (held = true));
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(held, false);
    });
    await late;
    assert.equal((await holders()).length, 4);
  });

  test(`${name}: what is sealed under older root keys is counted, found in order, and wrapped anew once`, async () => {
    await using use = await open();
    const { store } = use;
    const made = [target(), target(), target()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const [first, second, third] = made.map(({ id }) => id) as [TargetId, TargetId, TargetId];
    await store.transaction(async (tx) => {
      for (const id of [OLD, NEW]) await tx.rootKeys.bringIn(id);
      for (const each of made) {
        await tx.catalogue.saveTarget(each);
        await tx.catalogue.setCredential(each.id, sealed(OLD, `of ${each.id}`));
      }
    });
    const kind = 'target credential';
    const counts = async () => (await store.transaction((tx) => tx.rootKeys.counts())).filter((each) => each.kind === kind).map(({ under, count }) => [under, count]);
    same(await counts(), [[OLD, 3]]);
    await store.transaction(async (tx) => {
      assert.ok(tx.rootKeys.kinds.includes(kind));
      const [one, two] = await tx.rootKeys.outdated(kind, NEW, null, 2);
      assert.ok(one && two);
      same([one.row, one.identity, Buffer.from(one.sealed).subarray(69).toString()], [[first], `targets/${first}/credential`, `of ${first}`]);
      same((await tx.rootKeys.outdated(kind, NEW, two.row, 2)).map(({ row }) => row), [[third]]);
      same(two.row, [second]);
      assert.equal(await tx.rootKeys.rewrap(one, sealed(NEW, 'not the payload')), true);
      assert.equal(await tx.rootKeys.rewrap(one, sealed(NEW, 'again')), false, 'it is another by now');
      same(Buffer.from((await tx.catalogue.credential(first)) ?? []), sealed(NEW, `of ${first}`), 'the payload stays');
    });
    same(await counts(), [[OLD, 2], [NEW, 1]]);
  });

  test(`${name}: the chunks of a recording are wrapped anew in their order`, async () => {
    await using use = await open();
    const chunks = 11;
    await use.store.transaction(async (tx) => {
      for (const id of [OLD, NEW]) await tx.rootKeys.bringIn(id);
      const has = await held(tx);
      const [part] = has.parts;
      assert.ok(part);
      const one = session(has.grant, part, tx.now, { leaseUntil: later(tx.now, 60_000) });
      await tx.sessions.insert(one);
      for (let seq = 0; seq < chunks; seq++) await tx.sessions.appendChunk(one.id, seq, sealed(OLD, `chunk ${seq}`), '0'.repeat(64), 1, tx.now);
      const found = [];
      for (let last = null; ; last = found.at(-1)?.row ?? null) {
        const more = await tx.rootKeys.outdated('recording chunk', NEW, last, 4);
        if (more.length === 0) break;
        found.push(...more);
      }
      same(found.map(({ row }) => row), Array.from({ length: chunks }, (_, seq) => [one.id, seq]));
    });
  });
}
