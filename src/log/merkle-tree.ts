/**
 * The Merkle tree of RFC 6962 section 2.1 over SHA-256: hashing, an appendable tree that keeps only its right edge, and
 * the geometry of proofs. Everything here is pure; where hashes are kept is the caller's business (`build-proof.ts`
 * reads them from tiles).
 *
 * Indexes and sizes are safe integers, so no bit operators: those stop at 2^31.
 */
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

/** The root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = hash('sha256', Buffer.alloc(0), 'buffer');

/** A proof in a tree of at most 2^53 leaves never has more hashes. */
export const MAX_PROOF_HASHES = 54;

/** SHA-256(0x00 || entry). The prefixes keep a leaf from ever passing as a node: no second preimage. */
export function leafHash(entry: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(entry.length + 1);
  input[0] = 0;
  input.set(entry, 1);
  return hash('sha256', input, 'buffer');
}

const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('a node joins two 32-byte hashes');
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return hash('sha256', nodeInput, 'buffer');
}

/** The root over a power of two of concatenated hashes; 255 hash calls for a full tile. */
export function perfectRoot(hashes: Uint8Array): Buffer {
  const row = Buffer.from(hashes);
  let count = row.length / HASH_BYTES;
  if (!Number.isInteger(Math.log2(count))) throw new RangeError('a perfect subtree has a power of two of hashes');
  for (; count > 1; count /= 2) {
    for (let pair = 0; pair < count / 2; pair++) {
      row.copy(nodeInput, 1, pair * 2 * HASH_BYTES, (pair + 1) * 2 * HASH_BYTES);
      hash('sha256', nodeInput, 'buffer').copy(row, pair * HASH_BYTES);
    }
  }
  return Buffer.from(row.subarray(0, HASH_BYTES));
}

/** The largest power of two that is smaller than `size` (`size` at least 2): where RFC 6962 splits a tree. */
function split(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/** The perfect subtree over the leaves `[index * 2^level, (index + 1) * 2^level)`. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** The leaves `[start, end)`. Those of proofs start at a multiple of the power of two that covers them. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** The perfect subtrees that make up a range, from the left, which is from the largest. */
export function subtrees({ start, end }: LeafRange): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    let width = 1;
    while (at + width * 2 <= end && at % (width * 2) === 0) {
      width *= 2;
      level += 1;
    }
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

/** Joins the roots of neighbouring perfect subtrees, given from the left, to one hash. */
export function foldRight(roots: readonly Uint8Array[]): Uint8Array {
  if (roots.length === 0) return EMPTY_ROOT;
  return roots.reduceRight((right, left) => nodeHash(left, right));
}

export interface RangeState {
  readonly size: number;
  /** The roots of the perfect subtrees, one for each 1-bit of `size`, largest first. */
  readonly hashes: readonly Uint8Array[];
}

/**
 * A tree that only grows, kept as the roots of its perfect subtrees: at most 53 hashes, whatever its size. An append
 * costs one node hash on average.
 */
export class CompactRange {
  #size = 0;
  readonly #hashes: Uint8Array[] = [];

  /** @throws RangeError when the state has not exactly one 32-byte hash for each 1-bit of its size. */
  static restore(state: RangeState): CompactRange {
    if (!Number.isSafeInteger(state.size) || state.size < 0) throw new RangeError('a tree size is a safe integer');
    const ones = subtrees({ start: 0, end: state.size }).length;
    if (state.hashes.length !== ones || state.hashes.some((each) => each.length !== HASH_BYTES)) {
      throw new RangeError(`a tree of ${state.size} leaves is kept as ${ones} hashes of 32 bytes`);
    }
    const range = new CompactRange();
    range.#size = state.size;
    range.#hashes.push(...state.hashes.map((each) => Buffer.from(each)));
    return range;
  }

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    let grown = leaf;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      grown = nodeHash(this.#hashes.pop() as Uint8Array, grown);
    }
    this.#hashes.push(grown);
    this.#size += 1;
  }

  root(): Uint8Array {
    return foldRight(this.#hashes);
  }

  state(): RangeState {
    return { size: this.#size, hashes: [...this.#hashes] };
  }
}

/**
 * Which ranges an inclusion proof names, from the leaf's sibling up to the root's child (RFC 6962 section 2.1.1).
 * @throws RangeError unless `0 <= index < size`.
 */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new RangeError('an inclusion proof needs an index below the size');
  }
  const ranges: LeafRange[] = [];
  for (let start = 0, end = size; end - start > 1; ) {
    const middle = start + split(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.toReversed();
}

/**
 * Which ranges a consistency proof names, in its order (RFC 6962 section 2.1.2). Empty from size 0 and between equal sizes.
 * @throws RangeError unless `0 <= older <= newer`.
 */
export function consistencyRanges(older: number, newer: number): LeafRange[] {
  if (!Number.isSafeInteger(newer) || !Number.isSafeInteger(older) || older < 0 || older > newer) {
    throw new RangeError('a consistency proof leads from a size to the same or a larger one');
  }
  const ranges: LeafRange[] = [];
  if (older === 0) return ranges;
  let [start, end] = [0, newer];
  while (end !== older) {
    const middle = start + split(end - start);
    if (older <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // The old tree itself needs no naming when it is a subtree of the new one: the verifier holds its root.
  if (start !== 0) ranges.push({ start, end });
  return ranges.toReversed();
}
