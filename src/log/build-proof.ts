/** Builds proofs from tiles: the server's, an exporter's and an auditor's way, over whatever reads a file of the log. */
import { consistencyRanges, foldRight, HASH_BYTES, inclusionRanges, type LeafRange, perfectRoot, subtrees, type TreeNode } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';
import { hashesAtLevel, narrowTile, type ReadFile, TILE_WIDTH, tilePath } from './tiles.ts';

const TILE_HEIGHT = 8;

/** The hashes of one tree, read from tiles; each tile is read once. Nothing is trusted: what it builds must be verified. */
export class TileHashes {
  readonly #read: ReadFile;
  readonly #size: number;
  readonly #tiles = new Map<string, Promise<Uint8Array>>();

  constructor(read: ReadFile, size: number) {
    this.#read = read;
    this.#size = size;
  }

  /** The hash over a range as proofs name them. @throws Malformed when a tile is missing or has another length. */
  async hash(range: LeafRange): Promise<Uint8Array> {
    return foldRight(await Promise.all(subtrees(range).map((node) => this.#node(node))));
  }

  async hashes(ranges: readonly LeafRange[]): Promise<Uint8Array[]> {
    return Promise.all(ranges.map((range) => this.hash(range)));
  }

  async #node({ level, index }: TreeNode): Promise<Uint8Array> {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const count = 2 ** (level % TILE_HEIGHT);
    const first = index * count;
    const tile = await this.#tile(tileLevel, Math.floor(first / TILE_WIDTH));
    const at = (first % TILE_WIDTH) * HASH_BYTES;
    return perfectRoot(tile.subarray(at, at + count * HASH_BYTES));
  }

  async #tile(level: number, index: number): Promise<Uint8Array> {
    const width = Math.min(TILE_WIDTH, hashesAtLevel(this.#size, level) - index * TILE_WIDTH);
    const path = tilePath({ level, index, width });
    const known = this.#tiles.get(path);
    if (known !== undefined) return known;
    const reading = this.#readTile(path, { level, index, width });
    this.#tiles.set(path, reading);
    return reading;
  }

  async #readTile(path: string, address: { level: number; index: number; width: number }): Promise<Uint8Array> {
    const exact = await this.#read(path);
    if (exact !== null && exact.length === address.width * HASH_BYTES) return exact;
    // A log may drop a partial tile once the full one exists.
    const full = exact === null && address.width < TILE_WIDTH ? await this.#read(tilePath({ ...address, width: TILE_WIDTH })) : null;
    const narrowed = full === null ? null : narrowTile(full, address.width);
    if (narrowed === null) throw new Malformed(`${path} is ${exact === null ? 'missing' : 'of another length than its name says'}`);
    return narrowed;
  }
}

/** The proof that the entry at `index` is in the tree of `size` leaves. @throws RangeError unless index < size. */
export async function buildInclusionProof(read: ReadFile, index: number, size: number): Promise<Uint8Array[]> {
  return new TileHashes(read, size).hashes(inclusionRanges(index, size));
}

/** The proof that the tree of `newer` leaves begins with the one of `older` leaves, from the newer one's tiles. */
export async function buildConsistencyProof(read: ReadFile, older: number, newer: number): Promise<Uint8Array[]> {
  return new TileHashes(read, newer).hashes(consistencyRanges(older, newer));
}
