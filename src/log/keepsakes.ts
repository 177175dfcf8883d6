import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts';
import { Malformed } from './malformed.ts';
import type { Findings, Misbehaviour } from './report.ts';
import type { NoteVerifier } from './signed-note.ts';
import type { Tile, TileEdge } from './tile-edge.ts';

/**
 * The older checkpoints that an auditor kept, against the log as it is now. While the whole log streams by, its root at
 * every kept size is there to be compared: no consistency proof is needed, and any number of checkpoints costs nothing.
 */
export class Keepsakes {
  readonly misbehaviour: Misbehaviour[] = [];
  /** The largest kept size at which the log still has the kept root: entries before it are as they were. */
  matched = 0;
  readonly #waiting: OpenedCheckpoint[] = [];
  readonly #differing: OpenedCheckpoint[] = [];
  readonly #seen: OpenedCheckpoint;
  readonly #findings: Findings;

  constructor(notes: readonly Uint8Array[], key: NoteVerifier, seen: OpenedCheckpoint, findings: Findings) {
    this.#seen = seen;
    this.#findings = findings;
    for (const [i, note] of notes.entries()) this.#sort(this.#open(i, note, key));
    this.#waiting.sort((a, b) => a.size - b.size);
  }

  #open(i: number, note: Uint8Array, key: NoteVerifier): OpenedCheckpoint | null {
    try {
      return openCheckpoint(note, key);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#findings.add('checkpoint', null, `kept checkpoint ${i + 1}: ${error.message}`);
      return null;
    }
  }

  #sort(kept: OpenedCheckpoint | null): void {
    if (kept === null) return;
    const { size, root } = this.#seen;
    if (kept.size > size) {
      this.#findings.add('size_regression', size, `the log has ${size} entries and once had ${kept.size}: its tail was cut off or an old state restored`, kept.size);
      this.misbehaviour.push({ kept: kept.note, seen: this.#seen.note });
    } else if (kept.size === size && Buffer.compare(kept.root, root) !== 0) {
      this.#convict(kept, 'signed two different roots for the same size');
    } else {
      this.#waiting.push(kept);
    }
  }

  #convict(kept: OpenedCheckpoint, how: string): void {
    this.#findings.add('split_view', Math.min(this.matched, kept.size), `the log ${how} (${kept.size}): two histories`, kept.size);
    this.misbehaviour.push({ kept: kept.note, seen: this.#seen.note });
  }

  /** Appends leaves, stopping to compare at each kept size on the way. Answers the tiles that became full. */
  append(edge: TileEdge, leaves: readonly Uint8Array[]): Tile[] {
    const full: Tile[] = [];
    let at = 0;
    const end = edge.size + leaves.length;
    for (let kept = this.#waiting[0]; kept !== undefined && kept.size <= end; kept = this.#waiting[0]) {
      const upTo = at + (kept.size - edge.size);
      full.push(...edge.append(leaves.slice(at, upTo)));
      at = upTo;
      this.#waiting.shift();
      if (Buffer.compare(edge.root(), kept.root) !== 0) this.#differing.push(kept);
      else if (this.#differing.length === 0) this.matched = kept.size;
    }
    full.push(...edge.append(leaves.slice(at)));
    return full;
  }

  /**
   * At the end. A kept root that differs convicts the log only if the files are what it signed; otherwise these files
   * are damaged, which has been told already.
   */
  judge(filesAreSigned: boolean): void {
    if (!filesAreSigned) return;
    for (const kept of this.#differing) this.#convict(kept, 'no longer begins with the entries it had at a size it signed');
  }
}
