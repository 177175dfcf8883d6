/** Checking proofs. Total: any argument gives an answer, nothing throws, and the work is bounded by the tree's height. */
import { consistencyRanges, EMPTY_ROOT, HASH_BYTES, inclusionRanges, nodeHash } from './merkle-tree.ts';

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const wellFormed = (hashes: readonly Uint8Array[]): boolean => hashes.every((each) => each.length === HASH_BYTES);
const within = (low: number, high: number): boolean =>
  Number.isSafeInteger(low) && Number.isSafeInteger(high) && low >= 0 && low <= high;

export interface InclusionClaim {
  /** The leaf's hash, not the entry. */
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof shows that `leaf` stands at `index` in the tree of this size and root (RFC 6962 section 2.1.1). */
export function verifyInclusion({ leaf, index, size, root, proof }: InclusionClaim): boolean {
  if (!within(index, size) || index === size) return false;
  const ranges = inclusionRanges(index, size);
  if (proof.length !== ranges.length || !wellFormed([leaf, root, ...proof])) return false;
  let up = leaf;
  for (const [i, range] of ranges.entries()) {
    const sibling = proof[i] as Uint8Array;
    up = range.start > index ? nodeHash(up, sibling) : nodeHash(sibling, up);
  }
  return same(up, root);
}

export interface ConsistencyClaim {
  readonly older: { readonly size: number; readonly root: Uint8Array };
  readonly newer: { readonly size: number; readonly root: Uint8Array };
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof shows that the newer tree begins with all of the older one (RFC 6962 section 2.1.2). */
export function verifyConsistency({ older, newer, proof }: ConsistencyClaim): boolean {
  if (!within(older.size, newer.size)) return false;
  const ranges = consistencyRanges(older.size, newer.size);
  if (proof.length !== ranges.length || !wellFormed([older.root, newer.root, ...proof])) return false;
  if (older.size === 0) return same(older.root, EMPTY_ROOT) && (newer.size > 0 || same(newer.root, EMPTY_ROOT));

  // The deepest hash is part of both trees; it is left out of the proof when it is the whole older tree.
  const named = ranges[0] !== undefined && ranges[0].end === older.size && ranges[0].start > 0;
  let before = named ? (proof[0] as Uint8Array) : older.root;
  let after = before;
  for (const [i, range] of ranges.entries()) {
    if (i === 0 && named) continue;
    const sibling = proof[i] as Uint8Array;
    if (range.start >= older.size) {
      after = nodeHash(after, sibling);
    } else {
      after = nodeHash(sibling, after);
      before = nodeHash(sibling, before);
    }
  }
  return same(before, older.root) && same(after, newer.root);
}
