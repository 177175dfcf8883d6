import { LongToken } from './long-token.ts';
import {
  COMMENT, DOLLARS, follow, freshStand, kindOf, LINE, maskTokens, NUMBER, QUOTED, speaksOfPasswords, STRING, WORDS, type MaskRules, type Stand,
} from './mask.ts';

/** A token of more bytes than this is not kept until its end is known. */
const LONGEST_TOKEN = 1024 * 1024;
/** Text is taken apart when this much has come. */
const PIECE = 64 * 1024;
/** A word that speaks of passwords may be broken off within its first letters. */
const OVERLAP = 4;
const NOTHING = Buffer.alloc(0);

/**
 * Masks a text that comes in pieces, as `maskSql` masks a whole one, in bounded memory. Of a token of more than a
 * megabyte not everything is known when it has to be decided upon: where literals are hidden it is hidden. Elsewhere it is
 * shown up to a piece that speaks of passwords, and the rest of it is hidden.
 */
export class MaskStream {
  readonly #rules: MaskRules;
  readonly #stand: Stand = freshStand();
  /** What has come and was not taken apart: the beginning of a token, and bytes behind it. */
  #rest: Buffer[] = [];
  #restSize = 0;
  #enough = PIECE;
  #long: LongToken | null = null;
  #showing = false;
  #spoken = false;
  #overlap = NOTHING;
  /** Whether anything was hidden; whether that may have been more than a value; whether passwords were spoken of. */
  hid = false;
  incomplete = false;
  spoke = false;

  constructor(rules: MaskRules) {
    this.#rules = rules;
    this.hid = rules.hide === 'literals';
  }

  /** Takes a piece and answers what may be shown by now. With the `last` one everything is said. */
  push(bytes: Buffer, from: number, to: number, last: boolean): Buffer {
    let at = from;
    let shown: Buffer = NOTHING;
    if (this.#long) {
      const end = this.#long.endIn(bytes, from, to);
      at = end < 0 ? to : end;
      shown = this.#showLong(bytes.subarray(from, at));
      if (end >= 0) this.#endLong(this.#long);
    }
    if (at < to) {
      this.#rest.push(Buffer.from(bytes.subarray(at, to)));
      this.#restSize += to - at;
    }
    if (this.#restSize < this.#enough && !last) return shown;
    const source = Buffer.concat(this.#rest);
    const masked = maskTokens(source, 0, source.length, { rules: this.#rules, stand: this.#stand, last });
    this.hid ||= masked.hid;
    this.spoke ||= masked.spoke;
    this.incomplete ||= this.#stand.deep;
    const more = this.#keep(source.subarray(masked.upTo));
    return Buffer.concat([shown, masked.shown, more]);
  }

  /** Keeps the token that goes on behind this piece; a long one is begun, and what may be shown of it is answered. */
  #keep(token: Buffer): Buffer {
    const long = token.length > LONGEST_TOKEN;
    this.#rest = long || token.length === 0 ? [] : [Buffer.from(token)];
    this.#restSize = long ? 0 : token.length;
    // Looked at again when it has doubled: a token that grows is not searched from its beginning with each piece.
    this.#enough = Math.max(PIECE, 2 * this.#restSize);
    return long ? this.#beginLong(token) : NOTHING;
  }

  #beginLong(token: Buffer): Buffer {
    const kind = kindOf(token, 0, token.length);
    const stand = this.#stand;
    const long = new LongToken(kind, this.#rules.backslashes || stand.escape);
    long.begin(token);
    this.#long = long;
    this.#overlap = NOTHING;
    this.#spoken = false;
    const value = kind === STRING || kind === DOLLARS;
    const remark = kind === COMMENT || kind === LINE;
    this.#showing = kind === QUOTED || kind === WORDS || (this.#rules.hide === 'passwords' && !(value && stand.armed));
    if (kind === DOLLARS && stand.code && !this.#showing) this.incomplete = true;
    if (this.#showing) return this.#showLong(token);
    this.#spoken = this.spoke;
    this.hid = true;
    return Buffer.from(remark ? ' ' : '?');
  }

  /** What of a piece of the long token may be shown. */
  #showLong(piece: Buffer): Buffer {
    const kind = this.#long?.kind;
    const seen = Buffer.concat([this.#overlap, piece]);
    this.#overlap = Buffer.from(seen.subarray(-OVERLAP));
    if (speaksOfPasswords(seen, 0, seen.length)) {
      this.spoke = true;
      this.#spoken = true;
      // A name is no value; what a string or code holds behind the word may be.
      if (this.#showing && kind !== QUOTED && kind !== WORDS) {
        this.#showing = false;
        this.hid = true;
        this.incomplete ||= kind === DOLLARS && this.#stand.code;
      }
    }
    return this.#showing ? piece : NOTHING;
  }

  #endLong(long: LongToken): void {
    // Only its first byte matters to what follows, and that is not known to be an E.
    if (long.kind !== NUMBER) follow(this.#stand, long.kind, NOTHING, 0, 0, this.#spoken);
    else this.#stand.armed = false;
    this.#long = null;
  }
}
