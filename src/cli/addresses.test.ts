import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEM_CODES } from '#contract/problem.ts';
import { ROUTES } from '#contract/routes.ts';
import { ADDRESSES } from './addresses.ts';
import { EXIT_OF_PROBLEM } from './exit-codes.ts';

test('the client knows every route of the contract, by its method and path', () => {
  const contract = Object.fromEntries(Object.entries(ROUTES).map(([name, { method, path }]) => [name, `${method} ${path}`]));
  assert.deepEqual(ADDRESSES, contract);
});

test('every code that a server can answer with has an exit code, and none is success', () => {
  assert.deepEqual(Object.keys(EXIT_OF_PROBLEM).toSorted(), [...PROBLEM_CODES].toSorted());
  assert.ok(Object.values(EXIT_OF_PROBLEM).every((code) => code > 0 && code < 126));
});
