import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
import type { Json } from './json.ts';

const number = (hex: string): number => Buffer.from(hex, 'hex').readDoubleBE(0);

test('numbers are written as in RFC 8785 appendix B', () => {
  const samples: [string, string][] = [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
  ];
  for (const [hex, text] of samples) assert.equal(canonicalJson(number(hex)), text, hex);
  for (const hex of ['7fffffffffffffff', '7ff0000000000000']) assert.throws(() => canonicalJson(number(hex)), TypeError);
});

test('strings, literals and order are written as in RFC 8785 section 3.2', () => {
  const input = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],' +
      '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
  ) as Json;
  const expected =
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}';
  assert.equal(canonicalJson(input), expected);
  const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
  const written = canonicalJson(Object.fromEntries(names.map((name) => [name, 0])));
  assert.deepEqual(
    [...written.matchAll(/"([^"]*)":0/g)].map(([, name]) => JSON.parse(`"${name}"`)),
    ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'],
  );
});

test('what JSON cannot carry is refused', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const holes: unknown[] = [1];
  holes[2] = 3;
  let deep: unknown = 0;
  for (let i = 0; i < 65; i++) deep = [deep];
  const bad = [undefined, NaN, Infinity, 10n, () => 0, Symbol('s'), '\ud800', { '\udc00': 1 }, new Date(0), new Map(), Buffer.of(1), holes, { a: undefined }, cycle, deep];
  for (const value of bad) assert.throws(() => canonicalJson(value as Json), TypeError);
});

/** Any JSON but with names that need no escape: V8 may read the others wrongly, in the oracle too. */
const plainName = fc.string({ unit: 'grapheme' }).filter((name) => JSON.stringify(name).length === name.length + 2);
const { tree: plainJson } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree')) as fc.Arbitrary<Json>,
    fc.dictionary(plainName, tie('tree'), { noNullPrototype: true }) as fc.Arbitrary<Json>,
  ),
}));

test('property: writing forgets order and spelling, and nothing else', () => {
  fc.assert(
    fc.property(plainJson, (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(parseCanonicalJson(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(parseCanonicalJson(text)), text);
    }),
  );
  const members = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), fc.integer()), { selector: ([name]) => name });
  fc.assert(
    fc.property(members, (pairs) => {
      assert.equal(canonicalJson(Object.fromEntries(pairs)), canonicalJson(Object.fromEntries(pairs.toReversed())));
    }),
  );
});

test('every other spelling is refused when read', () => {
  const others = ['{"b":1,"a":2}', '{"a":1,"a":1}', '{ "a":1}', '[1.0]', '[1e2]', '[-0]', '"\\u0041"', '"\\/"', '"\\ud800"', '"\\uD83D\\uDE00"', '{"9":1,"10":2}', '[1]\n', '', 'nul', '['.repeat(100_000), `${'['.repeat(65)}${']'.repeat(65)}`];
  for (const text of others) assert.throws(() => parseCanonicalJson(text), SyntaxError, text.slice(0, 40));
  const canonical = ['["\\n\\""]', '{"10":2,"9":1}', '{"__proto__":1}', '"\\\\ud800"', '"\u{1f600}"', '[]', '0'];
  for (const text of canonical) assert.equal(canonicalJson(parseCanonicalJson(text)), text);
});

test('property: a text that is read is the text that is written', () => {
  const spellings = fc.tuple(plainJson, fc.nat(3)).map(([value, indent]) => JSON.stringify(value, null, indent));
  fc.assert(
    fc.property(spellings, (text) => {
      const canonical = canonicalJson(JSON.parse(text) as Json);
      if (canonical === text) parseCanonicalJson(text);
      else assert.throws(() => parseCanonicalJson(text), SyntaxError);
    }),
  );
});

test('names that need an escape are refused, whatever was read before', () => {
  JSON.parse(String.raw`{"h":[],"\\":0}`);
  for (const text of [String.raw`{"h":1,"\"":2}`, String.raw`{"h":1,"\\":2}`, String.raw`{"h":1,"\n":2}`, String.raw`{"z":[[],{"a":{"\"":1}}]}`, String.raw`{"b":1,"a":{"\"":1}}`]) {
    assert.throws(() => parseCanonicalJson(text), /needs an escape/, text);
  }
});
