import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ID_PREFIXES, isId, makeId, type IdKind } from './id.ts';

const KINDS = Object.keys(ID_PREFIXES) as IdKind[];
const kind = fc.constantFrom(...KINDS);
const instant = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const random = fc.uint8Array({ minLength: 10, maxLength: 10 });

test('an id is its kind, its instant and its random bits, and nothing else', () => {
  assert.equal(makeId('grant', 0, new Uint8Array(10)), 'grt_00000000000000000000000000');
  assert.equal(makeId('grant', 2 ** 48 - 1, new Uint8Array(10).fill(255)), 'grt_7zzzzzzzzzzzzzzzzzzzzzzzzz');
  // The instant of the ULID specification's example.
  assert.equal(makeId('person', 1_469_918_176_385, new Uint8Array(10)).slice(4, 14), '01aryz6s41');
  fc.assert(fc.property(kind, instant, random, (of, at, bytes) => {
    const id = makeId(of, at, bytes);
    assert.equal(id.length, 30);
    assert.ok(isId(of, id));
    for (const other of KINDS) assert.equal(isId(other, id), other === of);
  }));
});

test('no random bit is lost', () => {
  const all = new Set<string>();
  for (let bit = 0; bit < 80; bit++) {
    const bytes = new Uint8Array(10);
    bytes[bit >> 3] = 1 << (bit & 7);
    all.add(makeId('request', 0, bytes));
  }
  assert.equal(all.size, 80);
});

test('ids sort by creation', () => {
  fc.assert(fc.property(instant, instant, random, random, (one, other, a, b) => {
    fc.pre(one !== other);
    assert.equal(makeId('request', one, a) < makeId('request', other, b), one < other);
  }));
});

test('A07: only the one spelling is an id', () => {
  const id = makeId('request', 1_800_000_000_000, new Uint8Array(10).fill(0x5a));
  assert.ok(isId('request', id));
  const wrong = [id.toUpperCase(), ` ${id}`, `${id} `, `${id}\n`, `${id}0`, id.slice(0, -1), id.replace('req_', 'req-'), id.replace('req_', 'grt_'), `${id.slice(0, -1)}i`, `${id.slice(0, -1)}l`,
    `${id.slice(0, -1)}o`, `${id.slice(0, -1)}u`, `req_8${id.slice(5)}`, '', 'req_', [id], { toString: () => id }, null, undefined, 7];
  for (const text of wrong) assert.equal(isId('request', text), false, JSON.stringify(text));
});

test('an id takes exactly ten random bytes', () => {
  for (const size of [0, 9, 11]) assert.throws(() => makeId('grant', 0, new Uint8Array(size)), RangeError);
});
