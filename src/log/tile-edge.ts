/**
 * The right edge of a tiled tree: at each level the hashes of the tile that is not full yet. This is all that the
 * sequencer needs to append, to publish tiles and to sign; it is at most 8 kB for each level, four levels at 2^32 leaves.
 */
import { CompactRange, EMPTY_ROOT, HASH_BYTES, perfectRoot, subtrees } from './merkle-tree.ts';
import { hashesAtLevel, type ReadFile, TILE_WIDTH, type TileAddress, tilePath } from './tiles.ts';

export interface Tile extends TileAddress {
  /** The hashes, 32 bytes each. */
  readonly bytes: Buffer;
}

export interface EdgeState {
  readonly size: number;
  /** For each level from 0 the concatenated hashes of its partial tile; empty where the level's last tile is full. */
  readonly edge: readonly Uint8Array[];
}

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;
const widthAt = (size: number, level: number): number => hashesAtLevel(size, level) % TILE_WIDTH;
const levelsOf = (size: number): number => {
  let levels = 0;
  while (hashesAtLevel(size, levels) > 0) levels += 1;
  return levels;
};

/** The partial tiles of a tree: what to read to restore its edge. */
export function partialTiles(size: number): TileAddress[] {
  const levels = Array.from({ length: levelsOf(size) }, (_, level) => level);
  return levels
    .map((level) => ({ level, index: Math.floor(hashesAtLevel(size, level) / TILE_WIDTH), width: widthAt(size, level) }))
    .filter(({ width }) => width > 0);
}

export class TileEdge {
  #size = 0;
  readonly #levels: Buffer[] = [];

  /** @throws RangeError when a level does not have exactly the hashes that the size demands. */
  static restore({ size, edge }: EdgeState): TileEdge {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a tree size is a safe integer');
    const kept = new TileEdge();
    kept.#size = size;
    for (let level = 0; level < Math.max(levelsOf(size), edge.length); level++) {
      const hashes = edge[level] ?? Buffer.alloc(0);
      if (hashes.length !== widthAt(size, level) * HASH_BYTES) throw new RangeError(`the edge at level ${level} does not fit the size`);
      kept.#level(level).set(hashes);
    }
    return kept;
  }

  /** Restores from the published partial tiles. The caller compares `root()` with the checkpoint of that size. */
  static async read(read: ReadFile, size: number): Promise<TileEdge> {
    const edge: Uint8Array[] = Array.from({ length: levelsOf(size) }, () => Buffer.alloc(0));
    for (const tile of partialTiles(size)) {
      const bytes = await read(tilePath(tile));
      if (bytes === null) throw new RangeError(`${tilePath(tile)} is missing`);
      edge[tile.level] = bytes;
    }
    return TileEdge.restore({ size, edge });
  }

  get size(): number {
    return this.#size;
  }

  #level(level: number): Buffer {
    return (this.#levels[level] ??= Buffer.alloc(TILE_BYTES));
  }

  /** Appends leaf hashes; answers the tiles that became full, lower levels before the ones that hold their roots. */
  append(leaves: Iterable<Uint8Array>): Tile[] {
    const full: Tile[] = [];
    for (const leaf of leaves) {
      if (leaf.length !== HASH_BYTES) throw new RangeError('a leaf hash has 32 bytes');
      let hash = leaf;
      for (let level = 0; ; level++) {
        const row = this.#level(level);
        const before = hashesAtLevel(this.#size, level);
        row.set(hash, (before % TILE_WIDTH) * HASH_BYTES);
        if ((before + 1) % TILE_WIDTH !== 0) break;
        const bytes = Buffer.from(row);
        full.push({ level, index: Math.floor(before / TILE_WIDTH), width: TILE_WIDTH, bytes });
        hash = perfectRoot(bytes);
      }
      this.#size += 1;
    }
    return full;
  }

  /** The partial tiles of the tree as it is now; to be published with every checkpoint. */
  partials(): Tile[] {
    return partialTiles(this.#size).map((tile) => ({
      ...tile,
      bytes: Buffer.from(this.#level(tile.level).subarray(0, tile.width * HASH_BYTES)),
    }));
  }

  state(): EdgeState {
    const edge = this.#levels.map((row, level) => Buffer.from(row.subarray(0, widthAt(this.#size, level) * HASH_BYTES)));
    return { size: this.#size, edge };
  }

  /** The same tree without its tiles. */
  compactRange(): CompactRange {
    const hashes: Uint8Array[] = [];
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      const row = this.#level(level);
      for (const node of subtrees({ start: 0, end: widthAt(this.#size, level) })) {
        const width = 2 ** node.level;
        hashes.push(perfectRoot(row.subarray(node.index * width * HASH_BYTES, (node.index + 1) * width * HASH_BYTES)));
      }
    }
    return CompactRange.restore({ size: this.#size, hashes });
  }

  root(): Uint8Array {
    return this.#size === 0 ? EMPTY_ROOT : this.compactRange().root();
  }
}
