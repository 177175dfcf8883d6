import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownKeys } from './known-keys.ts';

const HOUR = 3_600_000;

test('a key is known for a while after its last proof, with the time of the store', () => {
  const clock = { now: 5000 };
  const keys = knownKeys(() => clock.now);
  const began = Date.UTC(2026, 0, 1);
  assert.equal(keys.of('key_a'), null);
  keys.remember('key_a', 'pem', new Date(began));
  clock.now += HOUR;
  assert.deepEqual(keys.of('key_a'), { publicKey: 'pem', now: new Date(began + HOUR) });
  // The store's clock was set meanwhile.
  keys.remember('key_b', 'other', new Date(began));
  assert.deepEqual(keys.of('key_a')?.now, new Date(began));
  clock.now += 35.5 * HOUR;
  assert.deepEqual([keys.of('key_a'), keys.of('key_b')?.publicKey], [null, 'other']);
});

test('H01 only so many keys are remembered, those that called last', () => {
  const keys = knownKeys(() => 0);
  for (let n = 0; n < 10_001; n++) {
    keys.remember(`key_${n}`, 'pem', new Date(0));
    keys.remember('key_0', 'pem', new Date(0));
  }
  assert.ok(keys.of('key_0') && keys.of('key_10000') && keys.of('key_2'));
  assert.equal(keys.of('key_1'), null);
});
