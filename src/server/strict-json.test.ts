import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Refusal } from '#domain/refusal.ts';
import { parseStrictJson } from './strict-json.ts';

function refused(text: string, why: RegExp): void {
  assert.throws(() => parseStrictJson(text), (error) => error instanceof Refusal && error.code === 'invalid_input' && why.test(error.message), text.slice(0, 80));
}

test('what messages are made of is read as the language reads it', () => {
  const key = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/).filter((name) => name !== '__proto__');
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ maxDepth: 6 }, fc.constantFrom(null, true, false), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string({ unit: 'grapheme' }).filter((s) => s.isWellFormed()), fc.array(tie('any'), { maxLength: 4 }), fc.dictionary(key, tie('any'), { maxKeys: 4 })),
  })).any;
  fc.assert(fc.property(value, fc.constantFrom(0, 2), (one, space) => {
    const text = JSON.stringify(one, null, space);
    assert.deepEqual(parseStrictJson(text), JSON.parse(text));
  }));
});

test('it never reads what the language refuses, and never another value', () => {
  const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', '\\', '\\u0061', '1', '-', 'e', '.', '0', 'true', 'null', ' ', 'x', '\ud800');
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }).map((all) => all.join('')), (text) => {
    let value: unknown;
    try {
      value = parseStrictJson(text);
    } catch (error) {
      assert.ok(error instanceof Refusal, String(error));
      return;
    }
    assert.deepEqual(value, JSON.parse(text));
  }), { numRuns: 5000 });
});

test('F07: members that reach for prototypes, and members given twice', () => {
  refused('{"__proto__":{"administrator":true}}', /__proto__/);
  refused('{"a":{"b":[{"__proto__":1}]}}', /__proto__/);
  refused('{"decision":"deny","decision":"approve"}', /"decision" twice/);
  refused('{"a":1,"b":{"c":1,"d":2,"c":3}}', /"c" twice/);
  assert.deepEqual(parseStrictJson('[{"a":1},{"a":2},{"b":{"a":1},"a":3}]'), [{ a: 1 }, { a: 2 }, { b: { a: 1 }, a: 3 }]);
});

test('F07: a name is written in one way only', () => {
  for (const text of ['{"\\u005f_proto__":1}', '{"a":1,"\\u0061":2}', '{"decisio\\u006e":"approve"}', '{"a\\"b":1}', '{"a\\\\b":1}', '{"a\\nb":1}']) refused(text, /with an escape/);
  assert.deepEqual(parseStrictJson('{"a":"\\u0061\\n\\\\\\""}'), { a: 'a\n\\"' });
});

test('A08: half characters', () => {
  for (const text of ['"\\ud800"', '"\\udc00\\ud800"', '["a","\\uD83D"]', '{"a":"\ud800"}']) refused(text, /half a character/);
  assert.equal(parseStrictJson('"\\ud83d\\ude00"'), '\u{1f600}');
});

test('H03: numbers that would become something else', () => {
  for (const text of ['1e400', '[-1e400]', '{"duration":1e999}', `{"duration":${'9'.repeat(400)}}`]) refused(text, /too large/);
  assert.deepEqual(parseStrictJson('[1e308,-0,0.5]'), [1e308, -0, 0.5]);
});

test('what is not JSON', () => {
  for (const text of ['', ' ', '{', '"', '"\\', '{"a"', '{"a":', '{"a":1,}', '[1,]', "{'a':1}", 'undefined', 'NaN', '01', '1.2.3', '--1', '"\\x"', '"\n"', '{}{}', '\ufeff{}', ']', '}"', '"\\u12"']) refused(text, /not JSON/);
});

test('H03: bombs are refused before anything is built of them, in the time of one look at each byte', () => {
  const bombs: readonly [string, RegExp][] = [
    ['['.repeat(100_000), /deeper/],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, /deeper/],
    ['{"a":'.repeat(100_000), /deeper/],
    [`{${Array.from({ length: 1_000_000 }, (_, n) => `"k${n}":1`).join(',')}}`, /more than 50000/],
    [`[${'0,'.repeat(2_000_000)}0]`, /more than 50000/],
    [`["${'\\u0061'.repeat(600_000)}`, /not JSON/],
    [`"${'\\'.repeat(3_999_999)}`, /not JSON/],
    ['-'.repeat(4_000_000), /not JSON/],
    [`{"${'a'.repeat(4_000_000)}`, /not JSON/],
  ];
  for (const [bomb, why] of bombs) {
    const start = performance.now();
    refused(bomb, why);
    // One look takes milliseconds, a quadratic one minutes: no stopwatch, only the difference between the two.
    assert.ok(performance.now() - start < 10_000, `${bomb.slice(0, 20)} took ${Math.round(performance.now() - start)} ms`);
  }
  assert.deepEqual(parseStrictJson(`${'['.repeat(40)}${']'.repeat(40)}`), JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`));
});
