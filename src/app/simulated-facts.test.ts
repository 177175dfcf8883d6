import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { readSimulatedFacts } from './simulated-facts.ts';

test('the words of policies and those of policy tests', () => {
  assert.deepEqual(readSimulatedFacts({ duration: '2h', ticket: 'SHOP-1', reason: null }), { durationSeconds: 7200, ticket: 'SHOP-1', reason: null });
  assert.deepEqual(readSimulatedFacts({ durationSeconds: 60 }), { durationSeconds: 60 });
  assert.deepEqual(readSimulatedFacts({ duration: null }), { durationSeconds: null });
});

test('a fact that no policy could see is refused, with the nearest', () => {
  const said = (facts: Record<string, unknown>) => {
    try {
      return readSimulatedFacts(facts);
    } catch (error) {
      assert.ok(error instanceof Refusal);
      return `${error.code}: ${error.message} ${error.details.hint}`;
    }
  };
  assert.match(said({ tiket: 'x' }) as string, /invalid_input: "tiket" is no fact.*Did you mean "ticket"\?/);
  assert.match(said({ hourUtc: 3 }) as string, /read off now/);
  assert.match(said({ constructor: 'x' }) as string, /invalid_input/);
  assert.match(said({ duration: 'long' }) as string, /invalid_duration/);
});
