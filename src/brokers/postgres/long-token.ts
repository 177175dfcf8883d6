import { COMMENT, DOLLARS, LINE, NEWLINE, NUMBER, QUOTED, SPACE, STRING, WORD } from './tokens.ts';

const [DOUBLE, DOLLAR, QUOTE, STAR, DASH, SLASH, BACKSLASH] = [0x22, 0x24, 0x27, 0x2a, 0x2d, 0x2f, 0x5c];
const NUMERIC = new Uint8Array(256).map((_, byte) => Number(/[\d_.]/.test(String.fromCharCode(byte))));

/** Looks for the end of a token that is too long to be kept: in pieces, the first of which begins with the token. */
export class LongToken {
  readonly kind: number;
  readonly #backslashes: boolean;
  /** Behind a quote that is the end unless another follows; behind a backslash; the byte before; nested comments. */
  #closing = false;
  /** Behind a string that may go on behind white space: whether a newline was in it, and whether it is in a `--` comment. */
  #gap = false;
  #newline = false;
  #remark = false;
  #escaped = false;
  #before = 0;
  #depth = 0;
  /** A dollar quote's tag, and the bytes before a piece in which it may have begun. */
  #tag = Buffer.alloc(0);
  #overlap = Buffer.alloc(0);

  constructor(kind: number, backslashes: boolean) {
    this.kind = kind;
    this.#backslashes = backslashes && kind === STRING;
  }

  /** The first piece, which does not hold the end. */
  begin(bytes: Buffer): void {
    if (this.kind === DOLLARS) this.#tag = Buffer.from(bytes.subarray(0, bytes.indexOf(DOLLAR, 1) + 1));
    const opener = this.kind === STRING || this.kind === QUOTED ? 1 : this.#tag.length;
    this.endIn(bytes, opener, bytes.length);
  }

  /** Where in `bytes[from, to)` the first byte behind the token lies; -1 when it goes on behind this piece. */
  endIn(bytes: Buffer, from: number, to: number): number {
    if (this.kind === DOLLARS) return this.#dollars(bytes, from, to);
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (this.kind === STRING || this.kind === QUOTED) {
        if (this.#quoted(byte)) return at;
      } else if (this.kind === COMMENT) {
        if (this.#commented(byte)) return at + 1;
      } else if (this.kind === LINE ? NEWLINE[byte] : this.kind === NUMBER ? !NUMERIC[byte] : !WORD[byte] && byte !== DOLLAR) return at;
    }
    return -1;
  }

  /** Whether white space behind the token, or the first dash of what is no comment, was taken for a part of it. */
  get gap(): '' | ' ' | ' -' {
    return !this.#gap ? '' : this.#before === DASH ? ' -' : ' ';
  }

  /** Whether the string ended in front of this byte. */
  #quoted(byte: number): boolean {
    if (this.#gap) return this.#behind(byte);
    const quote = byte === (this.kind === STRING ? QUOTE : DOUBLE);
    if (this.#closing && !quote) {
      if (this.kind === QUOTED || (!SPACE[byte] && byte !== DASH)) return true;
      [this.#closing, this.#newline, this.#remark, this.#before] = [false, false, false, 0];
      this.#gap = true;
      return this.#behind(byte);
    }
    if (this.#closing) this.#closing = false;
    else if (this.#escaped) this.#escaped = false;
    else if (quote) this.#closing = true;
    else this.#escaped = this.#backslashes && byte === BACKSLASH;
    return false;
  }

  /** Whether the string was at its end: this byte is neither space, nor a comment's, nor the quote that continues it. */
  #behind(byte: number): boolean {
    if (NEWLINE[byte] && this.#before !== DASH) [this.#newline, this.#remark] = [true, false];
    else if (this.#remark) return false;
    else if (byte === DASH) {
      this.#remark = this.#before === DASH;
      this.#before = this.#remark ? 0 : DASH;
    } else if (this.#before === DASH) return true;
    else if (byte === QUOTE && this.#newline) this.#gap = false;
    else return !SPACE[byte];
    return false;
  }

  /** Whether the comment ends with this byte. */
  #commented(byte: number): boolean {
    const opens = this.#before === SLASH && byte === STAR;
    const closes = this.#before === STAR && byte === SLASH;
    this.#before = opens || closes ? 0 : byte;
    this.#depth += Number(opens) - Number(closes);
    return closes && this.#depth === 0;
  }

  #dollars(bytes: Buffer, from: number, to: number): number {
    const both = Buffer.concat([this.#overlap, bytes.subarray(from, to)]);
    const found = both.indexOf(this.#tag);
    if (found >= 0) return from + found + this.#tag.length - this.#overlap.length;
    this.#overlap = Buffer.from(both.subarray(Math.max(0, both.length - this.#tag.length + 1)));
    return -1;
  }
}
