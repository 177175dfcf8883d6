import { speaksOfPasswords, type MaskRules } from './mask.ts';

const OVERLAP = 4;
const NOTHING = Buffer.alloc(0);

/** What is shown of a text that holds something to hide and can't be taken apart by bytes. */
export function firstWord(bytes: Buffer, from: number, to: number): Buffer {
  const word = /^\s*\w*/.exec(bytes.toString('latin1', from, Math.min(to, from + 40)))?.[0] ?? '';
  return Buffer.from(`${word} ?`).subarray(0, to - from);
}

/** `MaskStream` for such a text: where literals are hidden its first word; elsewhere what comes before it speaks of passwords. */
export class OpaqueStream {
  readonly #hide: MaskRules['hide'];
  #showing = true;
  #overlap = NOTHING;
  hid = false;
  incomplete = false;
  spoke = false;

  constructor(hide: MaskRules['hide']) {
    this.#hide = hide;
  }

  push(bytes: Buffer, from: number, to: number): Buffer {
    if (!this.#showing) return NOTHING;
    const seen = Buffer.concat([this.#overlap, bytes.subarray(from, to)]);
    this.#overlap = seen.subarray(-OVERLAP);
    this.spoke ||= speaksOfPasswords(seen, 0, seen.length);
    if (this.#hide === 'passwords' && !this.spoke) return Buffer.from(bytes.subarray(from, to));
    this.#showing = false;
    this.hid = true;
    this.incomplete = true;
    return this.#hide === 'literals' ? firstWord(bytes, from, to) : NOTHING;
  }
}
