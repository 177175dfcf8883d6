import assert from 'node:assert/strict';
import { test } from 'node:test';
import { together } from './together.ts';

test('what is asked for at the same time is read by one question, and once', async () => {
  const asked: (readonly string[])[] = [];
  const lengthOf = together(async (keys: readonly string[]) => {
    asked.push(keys);
    return new Map(keys.filter((key) => key !== 'nobody').map((key) => [key, key.length]));
  });
  const row = async (key: string) => [await lengthOf(key), await lengthOf(`${key}${key}`)];
  assert.deepEqual(await Promise.all([row('a'), row('bb'), row('a')]), [[1, 2], [2, 4], [1, 2]]);
  assert.deepEqual(asked, [['a', 'bb'], ['aa', 'bbbb']], 'those that go on after an answer go on together');
  assert.equal(await lengthOf('nobody'), null);
  assert.equal(await lengthOf('aa'), 2);
  assert.equal(asked.length, 3);
});

test('when a question fails, all who asked it learn so', async () => {
  const failing = together(() => Promise.reject(new Error('the store is gone')));
  for (const outcome of await Promise.allSettled([failing('a'), failing('b')])) assert.equal(outcome.status, 'rejected');
});
