import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { checkName } from './name-check.ts';

test('A08: names are ASCII, lower-case, one spelling each; the refusal says what is wrong, visibly', () => {
  for (const fine of ['a', 'anna.kovacs', 'orders-db_2', '0day', 'x'.repeat(63)]) assert.equal(checkName(fine, '/name'), fine);
  const bad: [name: string, message: RegExp][] = [
    ['', /empty/],
    ['Anna', /capital/],
    ['anna kovacs', /space/],
    ['.anna', /begins or ends/],
    ['anna-', /begins or ends/],
    ['x'.repeat(64), /longer than 63/],
    ['аnna', /mixes/],
    ['анна', /outside a-z/],
    ['anna\u200b', /anna\\u\{200b\}.*not be seen/],
    ['anna\u202egnp', /direction/],
    ['ａｎｎａ', /stand for others/],
    ['anna\n', /"anna\\n".*control/],
    ['anna\0', /control/],
    ['ann\u0131', /outside a-z/],
    ['a/b', /sign/],
  ];
  for (const [name, message] of bad) {
    assert.throws(() => checkName(name, '/name'), (error: unknown) => error instanceof Refusal && error.code === 'invalid_input' && error.details.field === '/name' && message.test(error.message), JSON.stringify(name));
  }
});
