import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CompactRange, consistencyRanges, EMPTY_ROOT, foldRight, inclusionRanges, leafHash, type LeafRange, nodeHash, perfectRoot } from './merkle-tree.ts';
import { verifyConsistency, verifyInclusion } from './verify-proof.ts';

// The definitions of RFC 6962 section 2.1, letter by letter and as slow as they are: the oracle.
const k = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1);
const mth = (d: readonly Uint8Array[]): Uint8Array => {
  if (d.length === 0) return hash('sha256', Buffer.alloc(0), 'buffer');
  if (d.length === 1) return hash('sha256', Buffer.concat([Buffer.of(0), d[0] as Uint8Array]), 'buffer');
  return hash('sha256', Buffer.concat([Buffer.of(1), mth(d.slice(0, k(d.length))), mth(d.slice(k(d.length)))]), 'buffer');
};
const path = (m: number, d: readonly Uint8Array[]): Uint8Array[] => {
  if (d.length === 1) return [];
  const [left, right] = [d.slice(0, k(d.length)), d.slice(k(d.length))];
  return m < left.length ? [...path(m, left), mth(right)] : [...path(m - left.length, right), mth(left)];
};
const subproof = (m: number, d: readonly Uint8Array[], b: boolean): Uint8Array[] => {
  if (m === d.length) return b ? [] : [mth(d)];
  const [left, right] = [d.slice(0, k(d.length)), d.slice(k(d.length))];
  return m <= left.length ? [...subproof(m, left, b), mth(right)] : [...subproof(m - left.length, right, false), mth(left)];
};

const entries = Array.from({ length: 70 }, (_, i) => Buffer.from(`entry ${i}`));
const leaves = entries.map(leafHash);
const rootOf = (size: number): Uint8Array => treeOf(leaves.slice(0, size)).root();
const treeOf = (hashes: readonly Uint8Array[]): CompactRange => {
  const tree = new CompactRange();
  for (const each of hashes) tree.append(each);
  return tree;
};
const hashesOf = (ranges: readonly LeafRange[]): Uint8Array[] => ranges.map(({ start, end }) => treeOf(leaves.slice(start, end)).root());

test('roots and proofs are those of the definitions in RFC 6962', () => {
  for (let size = 0; size <= entries.length; size++) {
    const d = entries.slice(0, size);
    assert.deepEqual(rootOf(size), mth(d));
    for (let m = 0; m < size; m++) assert.deepEqual(hashesOf(inclusionRanges(m, size)), path(m, d));
    for (let m = 1; m <= size; m++) assert.deepEqual(hashesOf(consistencyRanges(m, size)), subproof(m, d, true));
  }
});

test('every proof verifies, and only where it belongs', () => {
  for (const size of [1, 2, 3, 7, 8, 11, 64, 70]) {
    const root = rootOf(size);
    for (let index = 0; index < size; index++) {
      const claim = { leaf: leaves[index] as Uint8Array, index, size, root, proof: hashesOf(inclusionRanges(index, size)) };
      assert.ok(verifyInclusion(claim));
      assert.ok(!verifyInclusion({ ...claim, leaf: leafHash(Buffer.from('another')) }));
      assert.ok(!verifyInclusion({ ...claim, index: index === 0 ? size : index - 1 }));
      assert.ok(!verifyInclusion({ ...claim, proof: [...claim.proof, root] }));
      if (size > 1) assert.ok(!verifyInclusion({ ...claim, proof: claim.proof.slice(1) }));
    }
    for (let older = 1; older <= size; older++) {
      const claim = { older: { size: older, root: rootOf(older) }, newer: { size, root }, proof: hashesOf(consistencyRanges(older, size)) };
      assert.ok(verifyConsistency(claim));
      assert.ok(!verifyConsistency({ ...claim, older: { size: older, root: EMPTY_ROOT } }));
      assert.ok(!verifyConsistency({ ...claim, newer: { size, root: EMPTY_ROOT } }));
      assert.ok(!verifyConsistency({ ...claim, proof: [...claim.proof, root] }));
      if (older < size) assert.ok(!verifyConsistency({ ...claim, proof: claim.proof.slice(1) }));
    }
  }
});

test('every tree begins with the empty one, whose root is fixed', () => {
  const newer = { size: 5, root: rootOf(5) };
  assert.ok(verifyConsistency({ older: { size: 0, root: EMPTY_ROOT }, newer, proof: [] }));
  assert.ok(!verifyConsistency({ older: { size: 0, root: newer.root }, newer, proof: [] }));
  assert.ok(!verifyConsistency({ older: { size: 0, root: EMPTY_ROOT }, newer: { size: 0, root: newer.root }, proof: [] }));
});

test('sizes beyond 32 bits and impossible numbers are answered, not thrown', () => {
  const proof = Array.from({ length: 53 }, () => leafHash(Buffer.alloc(1)));
  const [leaf, root] = [proof[0] as Uint8Array, EMPTY_ROOT];
  assert.equal(inclusionRanges(2 ** 52, Number.MAX_SAFE_INTEGER).length, 53);
  for (const [index, size] of [[5, 5], [6, 5], [-1, 5], [0.5, 5], [0, 0], [NaN, NaN], [0, Infinity], [2 ** 53, 2 ** 54], [0, 2 ** 52]] as const) {
    assert.equal(verifyInclusion({ leaf, index, size, root, proof }), false);
    assert.equal(verifyConsistency({ older: { size: index, root }, newer: { size, root }, proof }), false);
  }
  assert.equal(verifyInclusion({ leaf: Buffer.alloc(31), index: 0, size: 1, root: Buffer.alloc(31), proof: [] }), false);
});

test('a compact range survives being stored', () => {
  for (let size = 0; size < 40; size++) {
    const kept = CompactRange.restore(treeOf(leaves.slice(0, size)).state());
    for (const leaf of leaves.slice(size)) kept.append(leaf);
    assert.deepEqual(kept.root(), rootOf(leaves.length));
  }
  assert.throws(() => CompactRange.restore({ size: 3, hashes: [EMPTY_ROOT] }), RangeError);
  assert.throws(() => CompactRange.restore({ size: 1, hashes: [Buffer.alloc(31)] }), RangeError);
  assert.throws(() => nodeHash(EMPTY_ROOT, Buffer.alloc(31)), RangeError);
});

test('property: a perfect subtree is what its leaves fold to', () => {
  fc.assert(
    fc.property(fc.nat(6), (level) => {
      const some = leaves.slice(0, 2 ** level);
      assert.deepEqual(perfectRoot(Buffer.concat(some)), Buffer.from(treeOf(some).root()));
    }),
  );
  assert.throws(() => perfectRoot(Buffer.alloc(96)), RangeError);
  assert.deepEqual(foldRight([]), EMPTY_ROOT);
});
