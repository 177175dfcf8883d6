import { MAX_LONG, MAX_SHORT } from './messages.ts';

/** Receives the bodies that a scanner was told to look at. `from` and `to` bound what is there of it in `bytes`. */
export type Sight = (type: number, bytes: Buffer, from: number, to: number, size: number) => void;

/** Receives a body that is too long to be kept, piece by piece; `left` bytes of it are still to come. */
export type PieceSight = (type: number, bytes: Buffer, from: number, to: number, left: number) => void;

/** For each message type how large its body may be (-1: the type does not belong here) and how much of it is wanted. */
export interface Alphabet {
  readonly most: Int32Array;
  readonly wanted: Int32Array;
  /** Types of which everything is wanted: what is longer is shown in pieces, the first of which has the wanted length. */
  readonly streamed: Uint8Array;
}

/**
 * Follows the frames of one direction through chunks that cut them anywhere, in place and without an object per
 * message. Bodies that are of interest are shown whole when they lie in one chunk; when a chunk ends inside, only the
 * wanted beginning is copied, and the rest passes or is shown in pieces: a gigabyte in one message costs no memory.
 */
export class Scanner {
  readonly #most: Int32Array;
  readonly #wanted: Int32Array;
  readonly #streamed: Uint8Array;
  readonly #sight: Sight;
  readonly #pieces: PieceSight;
  /** Bytes of the current body that have not come yet. */
  #left = 0;
  readonly #header = Buffer.alloc(5);
  /** Bytes of a header that the last chunk broke off in. */
  #have = 0;
  #kept: Buffer | null = null;
  #keptFill = 0;
  #keptSize = 0;
  #streaming = false;

  constructor(alphabet: Alphabet, sight: Sight, pieces: PieceSight = () => undefined) {
    this.#most = alphabet.most;
    this.#wanted = alphabet.wanted;
    this.#streamed = alphabet.streamed;
    this.#sight = sight;
    this.#pieces = pieces;
  }

  /** Whether everything seen so far is whole messages: here, and only here, another message may be put in between. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#have === 0;
  }

  /** Where in the coming chunk the message that is under way ends; -1 when it goes on behind it. */
  boundaryIn(chunk: Buffer): number {
    let left = this.#left;
    if (this.#have > 0) {
      const missing = 5 - this.#have;
      if (chunk.length < missing) return -1;
      const header = Buffer.concat([this.#header.subarray(0, this.#have), chunk.subarray(0, missing)]);
      left = missing + header.readInt32BE(1) - 4;
    }
    return left <= chunk.length ? left : -1;
  }

  /** Looks at one chunk. `false` for a message that can't be: nothing of this chunk may be passed on. */
  scan(chunk: Buffer): boolean {
    const length = chunk.length;
    let at = 0;
    if (this.#left > 0) {
      at = this.#body(chunk, 0);
    } else if (this.#have > 0) {
      at = this.#restOfHeader(chunk);
      if (at < 0) return false;
    }
    const most = this.#most;
    const wanted = this.#wanted;
    while (length - at >= 5) {
      const type = chunk[at] as number;
      const size =
        (((chunk[at + 1] as number) << 24) | ((chunk[at + 2] as number) << 16) | ((chunk[at + 3] as number) << 8) | (chunk[at + 4] as number)) - 4;
      if (size < 0 || size > (most[type] as number)) return false;
      const from = at + 5;
      const to = from + size;
      if (to > length) {
        this.#begin(type, size);
        at = this.#body(chunk, from);
        break;
      }
      if (wanted[type] !== 0) this.#sight(type, chunk, from, to, size);
      at = to;
    }
    if (this.#left === 0 && at < length) {
      chunk.copy(this.#header, 0, at, length);
      this.#have = length - at;
    }
    return true;
  }

  /** Completes a header that the last chunk broke off in. Answers where the rest begins; -1 for an impossible message. */
  #restOfHeader(chunk: Buffer): number {
    const missing = 5 - this.#have;
    if (chunk.length < missing) {
      chunk.copy(this.#header, this.#have);
      this.#have += chunk.length;
      return chunk.length;
    }
    chunk.copy(this.#header, this.#have, 0, missing);
    this.#have = 0;
    const type = this.#header[0] as number;
    const size = this.#header.readInt32BE(1) - 4;
    if (size < 0 || size > (this.#most[type] as number)) return -1;
    this.#begin(type, size);
    return this.#body(chunk, missing);
  }

  #begin(type: number, size: number): void {
    this.#left = size;
    this.#header[0] = type;
    const wanted = Math.min(this.#wanted[type] as number, size);
    this.#kept = wanted > 0 ? Buffer.allocUnsafe(wanted) : null;
    this.#keptFill = 0;
    this.#keptSize = size;
    this.#streaming = this.#streamed[type] === 1 && size > wanted;
    if (size === 0) this.#complete();
  }

  /** Takes what the chunk holds of the current body from `at` on, and answers where it stops. */
  #body(chunk: Buffer, at: number): number {
    const here = Math.min(this.#left, chunk.length - at);
    if (here > 0) {
      let from = at;
      if (this.#kept && this.#keptFill < this.#kept.length) {
        const copied = chunk.copy(this.#kept, this.#keptFill, at, at + here);
        this.#keptFill += copied;
        from += copied;
      }
      this.#left -= here;
      if (this.#streaming) this.#stream(chunk, from, at + here);
      else if (this.#left === 0) this.#complete();
    }
    return at + here;
  }

  /** Shows the beginning once it is complete, and then what comes as it comes. */
  #stream(chunk: Buffer, from: number, to: number): void {
    const type = this.#header[0] as number;
    if (this.#kept) {
      if (this.#keptFill < this.#kept.length) return;
      this.#pieces(type, this.#kept, 0, this.#kept.length, this.#left + to - from);
      this.#kept = null;
    }
    if (from < to) this.#pieces(type, chunk, from, to, this.#left);
  }

  #complete(): void {
    const type = this.#header[0] as number;
    if (this.#kept) this.#sight(type, this.#kept, 0, this.#kept.length, this.#keptSize);
    else if (this.#wanted[type] !== 0) this.#sight(type, this.#header, 0, 0, this.#keptSize);
    this.#kept = null;
  }
}

function alphabet(short: string, long: string, wanted: Readonly<Record<string, number>>, streamed = ''): Alphabet {
  const most = new Int32Array(256).fill(-1);
  const want = new Int32Array(256);
  const stream = new Uint8Array(256);
  for (const letter of short) most[letter.charCodeAt(0)] = MAX_SHORT;
  for (const letter of long) most[letter.charCodeAt(0)] = MAX_LONG;
  for (const [letter, bytes] of Object.entries(wanted)) want[letter.charCodeAt(0)] = bytes;
  for (const letter of streamed) stream[letter.charCodeAt(0)] = 1;
  return { most, wanted: want, streamed: stream };
}

/** Names have at most 63 bytes on the server, but a client may send more. */
const NAMES = 1024;
/** A statement's message of at most this size is looked at, and recorded, in one; a longer one in pieces. */
export const AT_ONCE = 64 * 1024 + NAMES;

/** What a client may say in a session. A password message, say, has no business here. */
export const FRONTEND: Alphabet = alphabet('CDEHScfX', 'QPBFd', {
  Q: AT_ONCE, P: AT_ONCE, B: 2 * NAMES, C: NAMES, E: NAMES, F: 4, S: 1, X: 1, c: 1, f: 1,
}, 'QP');

/** What a target may say in a session: never again an authentication request, a key or a protocol version. */
export const BACKEND: Alphabet = alphabet('123CGHIWZcns', 'ADENSTVdt', {
  1: 1, 2: 1, 3: 1, C: 128, E: 4096, G: 1, I: 1, S: 512, Z: 1, s: 1,
});
