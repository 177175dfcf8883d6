/**
 * Verifies a whole log from its files, offline and trusting nothing but the log's key: the signature, every entry's hash,
 * every tile, the root, the form of every entry, the history they tell, and whatever older checkpoints an auditor kept.
 *
 * The files stream by, one tile at a time; memory grows only with the number of requests, grants and sessions.
 */
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts';
import { parseEntry } from './entry.ts';
import { History } from './history.ts';
import { Keepsakes } from './keepsakes.ts';
import { HASH_BYTES, leafHash, perfectRoot } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';
import { Findings, type Report } from './report.ts';
import { type NoteVerifier, parseVerifierKey } from './signed-note.ts';
import { type Tile, TileEdge } from './tile-edge.ts';
import { entriesPath, hashesAtLevel, type ReadFile, splitBundle, TILE_WIDTH, tilePath } from './tiles.ts';

export interface VerifyOptions {
  /** `checkpoint`, `tile/...` and, unless the key is given, `log.vkey`. May reject: then so does the verification. */
  readonly read: ReadFile;
  /** The log's key as the auditor knows it. Without it the key beside the log is used, and the report says `found`. */
  readonly vkey?: string;
  /** Checkpoint notes of this log that the auditor kept from earlier. */
  readonly kept?: readonly Uint8Array[];
  /** Called after each 65,536 entries, and at the end. */
  readonly onProgress?: (done: number, total: number) => void;
}

const PROGRESS_BUNDLES = 256;

/** Never rejects for what the files hold, only when `read` does. */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const findings = new Findings();
  const trust = options.vkey === undefined ? 'found' : 'given';
  const key = await readKey(options, findings);
  const checkpoint = key === null ? null : await readCheckpoint(options.read, key, findings);
  if (key === null || checkpoint === null) return findings.report({ origin: key?.name ?? null, size: null, root: null, checked: 0, trust });

  const kept = new Keepsakes(options.kept ?? [], key, checkpoint, findings);
  const walk = new Walk(options.read, checkpoint, kept, findings);
  await walk.run(options.onProgress ?? (() => {}));
  const { origin, size, root } = checkpoint;
  return findings.report({
    origin,
    size,
    root: Buffer.from(root).toString('base64'),
    checked: walk.checked,
    trust,
    misbehaviour: kept.misbehaviour,
  });
}

async function readKey({ read, vkey }: VerifyOptions, findings: Findings): Promise<NoteVerifier | null> {
  const file = vkey === undefined ? await read('log.vkey') : Buffer.from(vkey);
  try {
    if (file === null) throw new Malformed('there is no log.vkey, and no key was given');
    return parseVerifierKey(Buffer.from(file).toString().trim());
  } catch (error) {
    findings.add('key', null, reasonOf(error));
    return null;
  }
}

async function readCheckpoint(read: ReadFile, key: NoteVerifier, findings: Findings): Promise<OpenedCheckpoint | null> {
  const note = await read('checkpoint');
  try {
    if (note === null) throw new Malformed('there is no checkpoint');
    return openCheckpoint(note, key);
  } catch (error) {
    findings.add('checkpoint', null, reasonOf(error));
    return null;
  }
}

/** The message of a refusal of ours; any other error is a defect and goes on. */
export function reasonOf(error: unknown): string {
  if (error instanceof Malformed) return error.message;
  throw error;
}

interface Bundle {
  readonly index: number;
  readonly width: number;
  readonly bundle: Uint8Array | null;
  readonly tile: Uint8Array | null;
}

class Walk {
  checked = 0;
  readonly #read: ReadFile;
  readonly #checkpoint: OpenedCheckpoint;
  readonly #kept: Keepsakes;
  readonly #findings: Findings;
  readonly #edge = new TileEdge();
  readonly #history = new History('whole');
  #replaying = true;

  constructor(read: ReadFile, checkpoint: OpenedCheckpoint, kept: Keepsakes, findings: Findings) {
    this.#read = read;
    this.#checkpoint = checkpoint;
    this.#kept = kept;
    this.#findings = findings;
  }

  async run(onProgress: (done: number, total: number) => void): Promise<void> {
    const { size } = this.#checkpoint;
    const bundles = Math.ceil(size / TILE_WIDTH);
    let next = this.#fetch(0);
    for (let index = 0; index < bundles; index++) {
      const bundle = await next;
      // The next files are read while these are hashed. A rejection is met when they are awaited.
      next = this.#fetch(index + 1);
      next.catch(() => {});
      if (!(await this.#bundle(bundle)) || this.#findings.full) return onProgress(this.checked, size);
      if ((index + 1) % PROGRESS_BUNDLES === 0) onProgress(this.checked, size);
    }
    for (const tile of this.#edge.partials()) if (tile.level > 0) await this.#tile(tile);
    this.#root();
    onProgress(this.checked, size);
  }

  async #fetch(index: number): Promise<Bundle> {
    const width = Math.min(TILE_WIDTH, this.#checkpoint.size - index * TILE_WIDTH);
    if (width <= 0) return { index, width: 0, bundle: null, tile: null };
    const [bundle, tile] = await Promise.all([
      this.#read(entriesPath({ index, width })),
      this.#read(tilePath({ level: 0, index, width })),
    ]);
    return { index, width, bundle, tile };
  }

  /** One bundle against its level-0 tile; false when nothing after it can be hashed. */
  async #bundle({ index, width, bundle, tile }: Bundle): Promise<boolean> {
    const first = index * TILE_WIDTH;
    if (bundle === null) {
      this.#findings.add('missing', first, `${entriesPath({ index, width })} is missing`, first + width);
      return false;
    }
    const { entries, whole } = splitBundle(bundle, width);
    const leaves = entries.map(leafHash);
    const wrong = this.#compare(index, width, leaves, tile);
    const untrue = wrong !== null && (await this.#leafFault(first + wrong, index, leaves, tile)) ? wrong : Infinity;
    for (const [i, entry] of entries.entries()) {
      // From an entry on that was never logged, the rest of the story is worth nothing.
      if (i === untrue) this.#replaying = false;
      if (this.#replaying) this.#entry(first + i, entry);
    }
    this.checked += entries.length;
    if (!whole) {
      const message = `${entriesPath({ index, width })} does not hold exactly ${width} entries`;
      if (wrong === null) this.#findings.add('missing', Math.min(first + entries.length, first + width - 1), message);
      return false;
    }
    for (const full of this.#kept.append(this.#edge, leaves)) if (full.level > 0) await this.#tile(full);
    return true;
  }

  /** The position of the first entry that is not the one in the tile; `null` when all are, or the tile can't say. */
  #compare(index: number, width: number, leaves: readonly Buffer[], tile: Uint8Array | null): number | null {
    const path = tilePath({ level: 0, index, width });
    if (tile === null || tile.length !== width * HASH_BYTES) {
      const message = `${path} is ${tile === null ? 'missing' : 'of another length than its name says'}`;
      this.#findings.add(tile === null ? 'missing' : 'tile', index * TILE_WIDTH, message, index * TILE_WIDTH + width);
      return null;
    }
    const wrong = leaves.findIndex((leaf, i) => leaf.compare(tile, i * HASH_BYTES, (i + 1) * HASH_BYTES) !== 0);
    return wrong === -1 ? null : wrong;
  }

  /**
   * Entry and tile disagree: the tile above, which holds the root of what was logged, tells which of them is genuine.
   * Answers whether the entry may be at fault.
   */
  async #leafFault(at: number, index: number, leaves: readonly Buffer[], tile: Uint8Array | null): Promise<boolean> {
    const ours = leaves.length === TILE_WIDTH ? perfectRoot(Buffer.concat(leaves)) : null;
    const above = await this.#hashAbove(index);
    if (ours !== null && above?.equals(ours) === true) {
      this.#findings.add('tile', at, `the level-0 tile does not hold the hash of entry ${at}; the entry itself is the logged one`);
      return false;
    }
    const genuine = tile?.length === TILE_WIDTH * HASH_BYTES && above?.equals(perfectRoot(tile)) === true;
    const sure = genuine ? 'is not the one that was logged' : 'does not have the hash that the log gives for it';
    this.#findings.add('leaf', at, `entry ${at} ${sure}: it was changed, moved, removed or put in`);
    return true;
  }

  async #hashAbove(index: number): Promise<Buffer | null> {
    const hashes = hashesAtLevel(this.#checkpoint.size, 1);
    if (index >= hashes) return null;
    const parent = Math.floor(index / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, hashes - parent * TILE_WIDTH);
    const tile = await this.#read(tilePath({ level: 1, index: parent, width }));
    const at = (index % TILE_WIDTH) * HASH_BYTES;
    return tile === null ? null : Buffer.from(tile.subarray(at, at + HASH_BYTES));
  }

  #entry(index: number, bytes: Uint8Array): void {
    try {
      const fault = this.#history.apply(parseEntry(bytes));
      if (fault !== null) this.#findings.add('history', index, fault);
    } catch (error) {
      this.#findings.add('entry', index, reasonOf(error));
    }
  }

  /** A tile above level 0, as it follows from the entries, against the one in the files. */
  async #tile({ bytes, ...address }: Tile): Promise<void> {
    const path = tilePath(address);
    const stored = await this.#read(path);
    const covers = TILE_WIDTH ** address.level;
    const start = address.index * TILE_WIDTH * covers;
    if (stored === null || stored.length !== bytes.length) {
      const message = `${path} is ${stored === null ? 'missing' : 'of another length than its name says'}`;
      return this.#findings.add(stored === null ? 'missing' : 'tile', start, message, start + address.width * covers);
    }
    for (let i = 0; i < address.width; i++) {
      const [from, to] = [start + i * covers, start + (i + 1) * covers];
      if (bytes.compare(stored, i * HASH_BYTES, (i + 1) * HASH_BYTES, i * HASH_BYTES, (i + 1) * HASH_BYTES) === 0) continue;
      // A known fault below explains it; otherwise entries and their tiles were rewritten together.
      if (this.#findings.within(from, to)) continue;
      return this.#findings.add('tile', from, `entries ${from} to ${to - 1} do not hash to what ${path} holds for them`, to);
    }
  }

  #root(): void {
    const { size, root } = this.#checkpoint;
    const genuine = Buffer.compare(this.#edge.root(), root) === 0;
    if (!genuine && this.#findings.list.length === 0) {
      const from = this.#kept.matched;
      const message = `entries and tiles agree with each other but not with the signed root: rewritten at or after entry ${from}`;
      this.#findings.add('root', from, message, size);
    }
    this.#kept.judge(genuine);
  }
}
