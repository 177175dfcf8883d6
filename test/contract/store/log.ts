/** Of the store's contract: the log's entries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogCursor } from '#app/ports/entry-table.ts';
import { grantEnded } from '#domain/events/grant-events.ts';
import { held, later, person } from '#test/worlds/store-world.ts';
import { refused, same, type OpenStore } from './under-test.ts';

export function logContract(name: string, open: OpenStore): void {
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
