import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROUTES, type Route } from '#contract/routes.ts';
import { Refusal } from '#domain/refusal.ts';
import { readInput } from './read-input.ts';

type Of = Parameters<typeof readInput>[2];

function refusal(schema: Route['body'], value: unknown, of: Of): Refusal | null {
  try {
    readInput(schema, value, of);
    return null;
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
}

/** What is wrong almost everywhere: other kinds, nothing, too little, too much, deeper. */
const BAD: readonly unknown[] = [null, 7, -1, 1.5, 1e300, true, '', ' ', 'Ä', 'x'.repeat(2_000_001), [], [null], [{}], [{ path: 1 }], Array.from({ length: 600 }, () => ({})), {}, { x: 1 }, { x: null }, undefined];
/** Words of the library's own, or of the language's. */
const RAW = /Invalid|[Ee]xpected|received|Too (?:small|big)|pattern|[<>]=|undefined|NaN|[Uu]nrecognized|nullish|another kind or form|\/\^/;

test('whatever is wrong with a call of whichever route is told in plain words, with the place', () => {
  let told = 0;
  for (const [name, route] of Object.entries(ROUTES) as [string, Route][]) {
    for (const part of ['params', 'query', 'body'] as const) {
      const schema = route[part];
      if (!schema) continue;
      const fields = Object.keys((schema as unknown as { shape: object }).shape);
      const alone = fields.flatMap((field) => BAD.map((value) => ({ [field]: value })));
      // The first fault is told: each field is also wrong where all the others are missing or wrong in other ways.
      const wrong: unknown[] = [...(part === 'body' ? BAD : []), { nosuch: 1 }, ...alone, ...alone.map((one) => ({ ...one, [`${fields[0] ?? 'x'}s`]: 1 }))];
      for (const value of wrong) {
        const found = refusal(schema, value, part);
        if (!found) continue;
        told += 1;
        assert.equal(found.code, 'invalid_input');
        assert.doesNotMatch(found.message, RAW, `${name} ${part}: ${JSON.stringify(value)?.slice(0, 100)}`);
        assert.match(found.details.field ?? '', part === 'body' ? /^\// : new RegExp(`^/${part}`));
        assert.ok(found.message.length <= 500);
      }
    }
  }
  assert.ok(told > 2000, String(told));
});

test('the words: what is missing, unknown, too long, of another kind', () => {
  const words = (schema: Route['body'], value: unknown, of: Of = 'body') => refusal(schema, value, of)?.message;
  const { submitRequest, reviewRequest, setPassword, requests, planConfiguration, grant } = ROUTES;
  assert.equal(words(submitRequest.body, { entitlement: 'a' }), 'reason is missing; must be a text of 1 to 2000 characters');
  assert.equal(words(submitRequest.body, { entitlement: 'A b', reason: 'r' }), 'entitlement is wrong; must be a name of at most 63 lower-case letters, digits, dots, dashes and underscores, with a letter or digit at both ends');
  assert.equal(words(submitRequest.body, { entitlement: 'a', reason: 'r', duration: [] }), 'duration is a list; must be a duration such as 45m or 1h30m, or whole seconds');
  assert.equal(words(submitRequest.body, { entitlement: 'a', reason: 'r', startAt: 'tomorrow' }), 'startAt is wrong; must be a moment with its zone, such as 2026-12-01T22:00:00Z');
  assert.equal(words(submitRequest.body, { entitlement: 'a', reason: 'r', durations: 1 }), 'durations is not known. Did you mean "duration"?');
  assert.equal(words(submitRequest.body, null), 'the body is empty; must be a map of names to values');
  assert.equal(words(reviewRequest.body, { decision: 'maybe', hash: 'x' }), 'decision is wrong; must be one of approve, deny');
  assert.equal(words(reviewRequest.body, { decision: 'approve', hash: 'a'.repeat(64), scopes: { x: {} } }), "scopes.x can't be called that: it is the number of a part, from 0");
  assert.equal(words(setPassword.body, { password: 'secret' }), 'password is wrong; must have at least 12 characters');
  assert.equal(words(requests.query, { limit: '9999' }, 'query'), 'limit is "9999"; must be at most 500');
  assert.equal(words(requests.query, { view: 'hers' }, 'query'), 'view is "hers"; must be one of mine, inbox, all');
  assert.equal(words(planConfiguration.body, { files: [{ path: 'x', text: 7 }] }), 'files.0.text is wrong; must be a text');
  assert.equal(words(planConfiguration.body, { files: Array.from({ length: 501 }, () => ({ path: 'x', text: '' })) }), 'files is a list; must have at most 500 entries');
  assert.equal(words(grant.params, { id: 'req_1' }, 'params'), 'id is "req_1"; must be a full id that starts with grt_');
});
