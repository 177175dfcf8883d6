import { Characters, type Width } from './characters.ts';
import { LongToken } from './long-token.ts';
import {
  backslashEscapes, follow, freshStand, isCode, markTokens, showUnmarked, speaksOfPasswords, type MaskRules, type Stand,
} from './mask.ts';
import { COMMENT, DOLLARS, kindOf, LINE, NUMBER, QUOTED, STRING, WORDS } from './tokens.ts';

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
  /** The same as the lexer sees it. */
  #seen: Buffer[] = [];
  #restSize = 0;
  readonly #characters: Characters;
  #enough = PIECE;
  #long: LongToken | null = null;
  #showing = false;
  #spoken = false;
  #overlap = NOTHING;
  /** Whether anything was hidden; whether that may have been more than a value; whether passwords were spoken of. */
  hid = false;
  incomplete = false;
  spoke = false;

  constructor(rules: MaskRules, width: Width = 'one') {
    this.#rules = rules;
    this.#characters = new Characters(width);
    this.hid = rules.hide === 'literals';
  }

  /** Code in it reads in two ways, so that more of it is shown than should be. */
  get split(): boolean {
    return this.#stand.split;
  }

  /** `false` when the text is none in the encoding it was read in. */
  get valid(): boolean {
    return this.#characters.valid;
  }
  get obscure(): boolean {
    return this.#characters.obscure;
  }

  /** Takes a piece and answers what may be shown by now. With the `last` one everything is said. */
  push(bytes: Buffer, from: number, to: number, last: boolean): Buffer {
    const piece = bytes.subarray(from, to);
    const seen = this.#characters.view(piece);
    if (last) this.#characters.end();
    let at = 0;
    let shown: Buffer = NOTHING;
    if (this.#long) {
      const end = this.#long.endIn(seen, 0, seen.length);
      at = end < 0 ? seen.length : end;
      shown = this.#showLong(piece.subarray(0, at));
      if (end >= 0) shown = Buffer.concat([shown, this.#endLong(this.#long)]);
    }
    if (at < piece.length) {
      this.#rest.push(Buffer.from(piece.subarray(at)));
      this.#seen.push(seen === piece ? (this.#rest.at(-1) as Buffer) : seen.subarray(at));
      this.#restSize += piece.length - at;
    }
    if (this.#restSize < this.#enough && !last) return shown;
    const source = Buffer.concat(this.#rest);
    const view = Buffer.concat(this.#seen);
    const { marks, upTo, hid, spoke } = markTokens(view, 0, view.length, { rules: this.#rules, stand: this.#stand, last });
    this.hid ||= hid;
    this.spoke ||= spoke;
    this.incomplete ||= this.#stand.deep;
    const more = this.#keep(source.subarray(upTo), view.subarray(upTo));
    return Buffer.concat([shown, showUnmarked(source, 0, upTo, marks), more]);
  }

  /** Keeps the token that goes on behind this piece; a long one is begun, and what may be shown of it is answered. */
  #keep(token: Buffer, seen: Buffer): Buffer {
    const long = token.length > LONGEST_TOKEN;
    const none = long || token.length === 0;
    this.#rest = none ? [] : [Buffer.from(token)];
    this.#seen = none ? [] : [Buffer.from(seen)];
    this.#restSize = long ? 0 : token.length;
    // Looked at again when it has doubled: a token that grows is not searched from its beginning with each piece.
    this.#enough = Math.max(PIECE, 2 * this.#restSize);
    return long ? this.#beginLong(token, seen) : NOTHING;
  }

  #beginLong(token: Buffer, seen: Buffer): Buffer {
    const kind = kindOf(seen, 0, seen.length);
    const stand = this.#stand;
    const long = new LongToken(kind, backslashEscapes(stand, this.#rules));
    long.begin(seen);
    this.#long = long;
    this.#overlap = NOTHING;
    this.#spoken = false;
    const value = kind === STRING || kind === DOLLARS;
    const remark = kind === COMMENT || kind === LINE;
    this.#showing = kind === QUOTED || kind === WORDS || (this.#rules.hide === 'passwords' && !(value && stand.armed && !isCode(stand)));
    if (value && isCode(stand) && !this.#showing) this.incomplete = true;
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
        this.incomplete ||= isCode(this.#stand);
      }
    }
    return this.#showing ? piece : NOTHING;
  }

  /** Answers what of the text behind the token was read with it. */
  #endLong(long: LongToken): Buffer {
    // Only its first byte matters to what follows, and that is not known to be an E.
    if (long.kind !== NUMBER) follow(this.#stand, long.kind, NOTHING, 0, 0, this.#spoken);
    else this.#stand.armed = false;
    this.#long = null;
    return this.#showing ? NOTHING : Buffer.from(long.gap);
  }
}
