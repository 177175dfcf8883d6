import { createHash } from 'node:crypto';
import { Characters, WIDTHS, type Width } from './characters.ts';
import { freshStand, markTokens, meet, showUnmarked, type MaskRules } from './mask.ts';
import { MaskStream } from './mask-stream.ts';

const BACKSLASH = 0x5c;

/** What the target lexes a text by. */
export interface Reading {
  /** `standard_conforming_strings` is off. */
  readonly backslashes: boolean;
  readonly width: Width;
}

export interface MaskedText {
  readonly shown: Buffer;
  /** Code that is quoted too deep was hidden as a value. */
  readonly incomplete: boolean;
  /** The text can be read in two ways: what is no literal in one of them is shown. */
  readonly split: boolean;
  /** What is a literal is not known at all: see `Characters`. */
  readonly obscure: boolean;
}

/**
 * Masks `bytes[from, to)` for every reading that the target may take: a statement that comes while an earlier one is under way may
 * be read by settings that are not known yet, or never will be. The first reading is the likely one.
 */
export function maskByReadings(bytes: Buffer, from: number, to: number, hide: MaskRules['hide'], readings: readonly Reading[]): MaskedText {
  const text = bytes.subarray(from, to);
  let marks: Uint8Array | null = null;
  let [incomplete, split, obscure] = [false, false, false];
  for (const { backslashes, width } of readings) {
    const characters = new Characters(width);
    const view = characters.view(text);
    characters.end();
    if (marks && !characters.valid) continue;
    obscure ||= characters.obscure;
    const stand = freshStand();
    const read = markTokens(view, 0, view.length, { rules: { hide, backslashes }, stand, last: true });
    incomplete ||= stand.deep;
    split ||= stand.split;
    if (marks) split = !meet(marks, read.marks) || split;
    else marks = read.marks;
  }
  return { shown: showUnmarked(text, 0, text.length, marks ?? new Uint8Array(text.length)), incomplete, split, obscure };
}

/** The readings that differ from the likely one, as far as this text tells them apart. */
export function otherReadings(likely: Reading, text: Uint8Array | null): readonly Reading[] {
  const escapes = text === null || text.includes(BACKSLASH) ? [likely.backslashes, !likely.backslashes] : [likely.backslashes];
  const widths = text === null || text.some((byte) => byte > 127) ? [likely.width, ...WIDTHS.filter((width) => width !== likely.width)] : [likely.width];
  return widths.flatMap((width) => escapes.map((backslashes) => ({ backslashes, width }))).slice(1);
}

/** `MaskStream` for a text that may be read in several ways. What it shows is the likely one; at the end it is known whether all agree. */
export class StreamByReadings {
  readonly #likely: MaskStream;
  readonly #likelyHash = createHash('sha256');
  readonly #others: { readonly stream: MaskStream; readonly hash: ReturnType<typeof createHash> }[];
  /** Known with the last piece. */
  split = false;

  constructor(hide: MaskRules['hide'], [likely, ...others]: readonly [Reading, ...Reading[]]) {
    this.#likely = new MaskStream({ hide, backslashes: likely.backslashes }, likely.width);
    this.#others = others.map(({ backslashes, width }) => ({ stream: new MaskStream({ hide, backslashes }, width), hash: createHash('sha256') }));
  }

  get hid(): boolean {
    return this.#likely.hid;
  }
  get incomplete(): boolean {
    return this.#likely.incomplete;
  }
  get spoke(): boolean {
    return this.#likely.spoke || this.#others.some(({ stream }) => stream.spoke);
  }

  push(bytes: Buffer, from: number, to: number, last: boolean): Buffer {
    const shown = this.#likely.push(bytes, from, to, last);
    for (const { stream, hash } of this.#others) if (stream.valid) hash.update(stream.push(bytes, from, to, last));
    if (this.#others.length > 0) this.#likelyHash.update(shown);
    if (last) this.split = this.#differ();
    return shown;
  }

  #differ(): boolean {
    const others = this.#others.filter(({ stream }) => stream.valid);
    const likely = this.#likelyHash.digest('hex');
    const obscure = this.hid && (this.#likely.obscure || others.some(({ stream }) => stream.obscure));
    return obscure || (this.spoke && this.#likely.split) || others.some(({ hash }) => hash.digest('hex') !== likely);
  }
}
