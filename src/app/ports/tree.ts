/** A tile of the log's tree (c2sp.org/tlog-tiles): up to 256 hashes of 32 bytes each, concatenated. */
export interface TreeTile {
  readonly level: number;
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** What appending needs to know of a tree: for each level from 0 the hashes of its partial tile; empty where the last one is full. */
export interface TreeState {
  readonly size: number;
  readonly edge: readonly Uint8Array[];
}

export interface GrownTree {
  readonly size: number;
  readonly root: Uint8Array;
  /** The tiles to store: those that became full, then the partial ones as they are now. */
  readonly tiles: readonly TreeTile[];
}

/** The Merkle tree of RFC 6962 over SHA-256. Pure. */
export interface LogTree {
  /** @throws RangeError when the state does not fit its size */
  append(state: TreeState, leaves: readonly Uint8Array[]): GrownTree;
}

/** Signs a checkpoint (c2sp.org/tlog-checkpoint), as the text of a signed note. */
export type SignCheckpoint = (size: number, root: Uint8Array) => string;
