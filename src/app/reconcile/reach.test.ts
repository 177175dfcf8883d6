import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeId } from '#domain/id.ts';
import { reachOf } from './reach.ts';

test('what did not answer is left to others until it has answered a knock, and is knocked at every so often', () => {
  let now = 0;
  const reach = reachOf({ now: () => now });
  const target = makeId('target', 0, new Uint8Array(10));
  assert.deepEqual([reach.unanswered(), reach.restedFor(target, 3_000)], [[], true]);
  reach.lost(target);
  assert.deepEqual([reach.unanswered(), reach.restedFor(target, 3_000)], [[target], true], 'at once');
  reach.knocked(target, false);
  now = 2_999;
  assert.deepEqual([reach.unanswered(), reach.restedFor(target, 3_000)], [[target], false]);
  now = 3_000;
  assert.equal(reach.restedFor(target, 3_000), true);
  reach.knocked(target, true);
  assert.deepEqual(reach.unanswered(), []);
});
