import type { Hide, MaskRules } from './mask-rules.ts';

/** What stands in place of a secret, whatever its length was. */
export const MARK: Uint8Array = Buffer.from('[masked]');

const NOTHING = new Uint8Array(0);
const ESC = 0x1b;
/** Of a sequence that only colours or moves. A longer one is read as text. */
const LONGEST_SEQUENCE = 64;
/** Sequences between the characters of what may be a secret are held with it, up to this. */
const MOST_HELD = 4096;
/** Not to be said before more bytes have come. */
const MORE = -1;
const NO_SECRET = -2;

/**
 * Masks a stream in whatever pieces it comes. Sequences that colour text or move the cursor are passed over: `grep` colours
 * the very word that tells of a password. A byte costs one step of a table, and at most so many more as a rule holds back.
 */
export class MaskStream {
  readonly #rules: MaskRules;
  #state = 0;
  /** Bytes that could not be decided upon yet: the beginning of a sequence, or of what may be a secret. */
  #held: Uint8Array = NOTHING;
  /** The rule whose `after` has just matched, -1 for none. */
  #rule = -1;
  /** How many characters of the secret that is being hidden have come, and one; 0 when none is. */
  #hiding = 0;
  /** How many secrets were hidden. */
  masked = 0;

  constructor(rules: MaskRules) {
    this.#rules = rules;
  }

  /** Answers what may be shown by now, perhaps the very bytes given; with the `last` piece everything is decided. */
  push(bytes: Uint8Array, last: boolean): Uint8Array {
    if (this.#rules.hides.length === 0) return bytes;
    const data = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const shown: Uint8Array[] = [];
    let from = 0;
    let at = 0;
    while (at < data.length) {
      if (this.#hiding > 0) {
        from = at = this.#hide(data, at, shown, last);
        if (this.#hiding > 0) break;
      } else if (this.#rule >= 0) {
        const to = this.#decide(data, at, last);
        if (to === MORE) break;
        if (to === NO_SECRET) this.#rule = -1;
        else {
          shown.push(data.subarray(from, at), MARK);
          this.masked += 1;
          // Of one that is known to its end nothing more is to be hidden.
          if (to > at) this.#end();
          else this.#hiding = 1;
          from = at = to;
        }
      } else {
        at = this.#search(data, at, last);
        if (this.#rule < 0) break;
      }
    }
    this.#held = at < data.length ? data.slice(at) : NOTHING;
    if (shown.length === 0) return from === 0 && at === data.length ? data : data.subarray(from, at);
    shown.push(data.subarray(from, at));
    return Buffer.concat(shown);
  }

  /** Looks for what stands before a secret. Stops behind it, or before a sequence that is not complete. */
  #search(data: Uint8Array, from: number, last: boolean): number {
    const { next, ends, firstEnd } = this.#rules.automaton;
    let state = this.#state;
    let at = from;
    while (at < data.length) {
      const byte = data[at] as number;
      if (byte === ESC) {
        const to = sequenceEnd(data, at, last);
        if (to === MORE) break;
        if (to > at) {
          at = to;
          continue;
        }
      }
      state = next[state * 256 + byte] as number;
      at += 1;
      if (state >= firstEnd) {
        this.#rule = ends[state] as number;
        break;
      }
    }
    this.#state = state;
    return at;
  }

  /** Whether a secret begins at `from`, and to where that is known: all there is of it is hidden from there on. */
  #decide(data: Uint8Array, from: number, last: boolean): number {
    const { set, least, most, before } = this.#rules.hides[this.#rule] as Hide;
    let count = 0;
    let at = from;
    while (at < data.length && count < most) {
      const byte = data[at] as number;
      const to = byte === ESC ? sequenceEnd(data, at, last) : at;
      if (to === MORE) return at - from > MOST_HELD ? NO_SECRET : MORE;
      if (to > at) {
        at = to;
        continue;
      }
      if (!set[byte]) break;
      at += 1;
      count += 1;
      if (before === null && count === least) return from;
    }
    if (at - from > MOST_HELD) return NO_SECRET;
    if (at === data.length) return last ? NO_SECRET : MORE;
    return before?.[data[at] as number] && count >= least ? at : NO_SECRET;
  }
  /** Hides what there is of a secret, but for sequences. Stops behind it, or where more of it may come. */
  #hide(data: Uint8Array, from: number, shown: Uint8Array[], last: boolean): number {
    const { set, most } = this.#rules.hides[this.#rule] as Hide;
    for (let at = from; at < data.length; at++) {
      const byte = data[at] as number;
      const to = byte === ESC ? sequenceEnd(data, at, last) : at;
      if (to === MORE) return at;
      if (to > at) {
        shown.push(data.subarray(at, to));
        at = to - 1;
      } else if (!set[byte] || this.#hiding > most) {
        this.#end();
        return at;
      } else this.#hiding += 1;
    }
    return data.length;
  }

  #end(): void {
    this.#hiding = 0;
    this.#rule = -1;
    this.#state = 0;
  }
}

/** Masks a whole text. */
export function maskText(rules: MaskRules, text: string): string {
  const bytes = Buffer.from(text);
  const shown = new MaskStream(rules).push(bytes, true);
  return shown === bytes ? text : Buffer.from(shown).toString();
}

/**
 * Where the sequence at `at` ends, if it only colours, moves, or selects a character set (ECMA-48 CSI, ECMA-35 nF); `at` itself if it is none.
 */
function sequenceEnd(data: Uint8Array, at: number, last: boolean): number {
  const csi = data[at + 1] === 0x5b;
  const [from, lowest, highest] = csi ? [at + 2, 0x20, 0x3f] : [at + 1, 0x20, 0x2f];
  let to = from;
  while (to < data.length && to - at < LONGEST_SEQUENCE && (data[to] as number) >= lowest && (data[to] as number) <= highest) to += 1;
  if (to === data.length) return last ? at : MORE;
  const final = data[to] as number;
  const whole = csi ? final >= 0x40 && final <= 0x7e : to > from && final >= 0x30 && final <= 0x7e;
  return whole && to - at < LONGEST_SEQUENCE ? to + 1 : at;
}
