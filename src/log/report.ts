/** What a verification answers: a verdict that explains itself. */

export type FindingKind =
  | 'key' // no usable log.vkey
  | 'checkpoint' // missing, malformed, or not signed by the log
  | 'missing' // a file that the checkpoint promises is not there
  | 'leaf' // an entry is not the one that was logged
  | 'tile' // a tile does not hold the hashes of its entries
  | 'root' // entries and tiles agree with each other, and not with the signed root
  | 'entry' // the entry is logged, and is not what an entry must be
  | 'history' // the entry tells something impossible
  | 'proof' // evidence: an inclusion proof does not hold
  | 'evidence' // evidence: the file itself is malformed
  | 'size_regression' // smaller than a checkpoint that somebody kept
  | 'split_view'; // another history than a checkpoint that somebody kept

export interface Finding {
  readonly kind: FindingKind;
  /** The entry at fault, counted from 0. With `through`, the fault is known to lie in `[index, through)`. */
  readonly index: number | null;
  readonly through?: number;
  readonly message: string;
}

/**
 * Two checkpoints that one log signed and should not have: of two histories, which convicts it, or the later seen one
 * smaller, which somebody has to explain. To be published.
 */
export interface Misbehaviour {
  readonly kept: string;
  readonly seen: string;
}

export interface Report {
  readonly ok: boolean;
  readonly origin: string | null;
  readonly size: number | null;
  /** The checkpoint's root in base64. */
  readonly root: string | null;
  /** How many entries were looked at. */
  readonly checked: number;
  /** The lowest index among the findings. */
  readonly firstBad: number | null;
  /** In the order in which they were found; no more than `MAX_FINDINGS`. */
  readonly findings: readonly Finding[];
  readonly misbehaviour: readonly Misbehaviour[];
  /** `given`: the caller brought the key. `found`: it came with the data, and proves only that the data agrees with itself. */
  readonly trust: 'given' | 'found';
}

/** Enough to see a pattern; one flipped order of a large log must not fill the memory. */
export const MAX_FINDINGS = 100;

export class Findings {
  readonly #list: Finding[] = [];

  get full(): boolean {
    return this.#list.length >= MAX_FINDINGS;
  }

  get list(): readonly Finding[] {
    return this.#list;
  }

  add(kind: FindingKind, index: number | null, message: string, through?: number): void {
    if (!this.full) this.#list.push({ kind, index, message, ...(through === undefined ? {} : { through }) });
  }

  /** Whether a fault is already known to lie in `[start, end)`. */
  within(start: number, end: number): boolean {
    return this.#list.some(({ index }) => index !== null && index >= start && index < end);
  }

  report(facts: Pick<Report, 'origin' | 'size' | 'root' | 'checked' | 'trust'> & { misbehaviour?: readonly Misbehaviour[] }): Report {
    const indexes = this.#list.flatMap(({ index }) => (index === null ? [] : [index]));
    return {
      misbehaviour: [],
      ...facts,
      ok: this.#list.length === 0,
      firstBad: indexes.length === 0 ? null : Math.min(...indexes),
      findings: [...this.#list],
    };
  }
}
