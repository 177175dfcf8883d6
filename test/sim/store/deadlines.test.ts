/** Deadlines as properties, on the twin of the store: the same statements, and thousands of cases a second. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { extendGrant } from '#app/extend-grant.ts';
import { Refusal } from '#domain/refusal.ts';
import { encodeEntry } from '#log/entry.ts';
import { quiet } from '#test/worlds/postgres-store-world.ts';
import { held, later, newId, request, sealedLike, SEALED_UNDER } from '#test/worlds/store-world.ts';
import { Memory } from './memory.ts';
import { twinStore } from './twin-store.ts';

const NOW = Date.UTC(2026, 2, 1);

async function store() {
  const secrets = { newSubjectKey: () => sealedLike('a key'), sealPersonal: () => randomBytes(8) };
  const clockwork = { now: () => NOW, step: async () => undefined, later: () => undefined };
  const twin = twinStore({ memory: new Memory(), clockwork, newId, secrets, journal: quiet, encodeEntry });
  await twin.transaction((tx) => tx.rootKeys.bringIn(SEALED_UNDER));
  return twin;
}

const seconds = fc.integer({ min: 1, max: 7_200 });

test('property: an extension moves a deadline later, by no more than was agreed, and never beyond the maximum from now', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: -3_600_000, max: 7_200_000 }), seconds, async (leftMs, asked) => {
    await (await store()).transaction(async (tx) => {
      const deadline = later(tx.now, leftMs);
      const { grant, entitlement, principal } = await held(tx, { deadline: leftMs > -60_000 ? deadline : later(tx.now, -59_999) });
      const before = grant.deadline ?? assert.fail();
      const extension = request(entitlement, principal.id, tx.now, { extendsGrant: grant.id });
      const refusal = await extendGrant(tx, extension, asked, 'system').then(() => null, (error: unknown) => error);
      const after = (await tx.grants.byId(grant.id))?.deadline ?? assert.fail();
      const longest = later(tx.now, entitlement.maxDuration * 1000);
      if (refusal !== null) {
        assert.ok(refusal instanceof Refusal && ['wrong_state', 'duration_too_long'].includes(refusal.code), String(refusal));
        assert.deepEqual(after, before);
        assert.ok(before <= tx.now || before >= longest, 'refused for no reason');
        return;
      }
      assert.ok(before > tx.now && after > before && after <= longest);
      assert.ok(after.getTime() - before.getTime() <= asked * 1000);
    });
  }), { numRuns: 200 });
});

test('property: at its deadline, to the millisecond, a grant is due, and not one before', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 8 }), async (offsets) => {
    await (await store()).transaction(async (tx) => {
      const made = [];
      for (const offset of offsets) made.push({ offset, id: (await held(tx, { deadline: later(tx.now, offset) })).grant.id });
      const due = (await tx.grants.lockDue(tx.now, 100)).map(({ id }) => id);
      assert.deepEqual(new Set(due), new Set(made.filter(({ offset }) => offset <= 0).map(({ id }) => id)));
      assert.equal((await tx.grants.awaiting(tx.now, tx.now)).includes('due'), offsets.some((offset) => offset <= 0));
      const next = await tx.grants.nextInstant(later(tx.now, 1000));
      assert.equal(next?.getTime(), NOW + Math.min(...offsets));
    });
  }), { numRuns: 100 });
});
