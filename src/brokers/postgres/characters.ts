import { WORD } from './tokens.ts';

const DOLLAR = 0x24;

/** How many bytes a character has in the client encodings in which one may hold an ASCII letter or backslash. */
export type Width = 'one' | 'sjis' | 'two' | 'johab' | 'gb18030';
export const WIDTHS: readonly Width[] = ['one', 'sjis', 'two', 'johab', 'gb18030'];

const WIDTH: Readonly<Record<string, Width>> = {
  SJIS: 'sjis', SHIFT_JIS_2004: 'sjis', BIG5: 'two', GBK: 'two', UHC: 'two', JOHAB: 'johab', GB18030: 'gb18030',
};

/** By PostgreSQL's name. In every other encoding a byte that looks like ASCII is. */
export function widthOf(encoding: string): Width {
  return WIDTH[encoding.toUpperCase()] ?? 'one';
}

/**
 * Shows text as the lexer of PostgreSQL comes to see it: converted to the server's encoding, which is never one of these, every
 * byte of such a character is beyond ASCII. Lengths are kept, and pieces may break off inside a character.
 */
export class Characters {
  readonly #width: Width;
  #left = 0;
  #second = false;
  /** `false` once the text is none in this encoding: PostgreSQL executes nothing of it. */
  valid = true;
  /** It may hold a dollar quote with such a character in its tag: which others are the same to the target is not known here. */
  obscure = false;
  #tag: 'none' | 'begun' | 'wide' = 'none';

  constructor(width: Width) {
    this.#width = width;
  }

  view(bytes: Buffer): Buffer {
    if (this.#width === 'one') return bytes;
    const seen = Buffer.from(bytes);
    for (let at = 0; at < seen.length; at++) {
      const byte = seen[at] as number;
      if (this.#left > 0) {
        if (this.#second && this.#width === 'gb18030' && byte >= 0x30 && byte <= 0x39) this.#left = 3;
        this.#second = false;
        this.#left--;
        this.valid &&= byte >= 0x30 && byte !== 0x7f;
        if (byte < 0x80) seen[at] = 0xff;
      } else if (byte >= 0x80) {
        if (this.#tag === 'begun') this.#tag = 'wide';
        this.#left = this.#more(byte);
        this.#second = this.#left > 0;
      } else if (byte === DOLLAR) {
        this.obscure ||= this.#tag === 'wide';
        this.#tag = 'begun';
      } else if (!WORD[byte]) this.#tag = 'none';
    }
    return seen;
  }

  /** The text is at its end. */
  end(): void {
    this.valid &&= this.#left === 0;
  }

  #more(byte: number): number {
    if (this.#width === 'sjis') return byte >= 0xa1 && byte <= 0xdf ? 0 : 1;
    return this.#width === 'johab' && byte === 0x8f ? 2 : 1;
  }
}
