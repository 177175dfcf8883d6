/**
 * Where PostgreSQL's lexer (`scan.l`) lets tokens begin and end, over bytes. Rules that differ between its versions follow the one
 * that lets more be executed: what a newer one refuses behind a number, say, is a word.
 */
const QUOTE = 0x27;
const DOUBLE = 0x22;
const DOLLAR = 0x24;
const BACKSLASH = 0x5c;
const DASH = 0x2d;

const table = (pattern: RegExp) => new Uint8Array(256).map((_, byte) => Number(pattern.test(String.fromCharCode(byte))));
/** Letters, digits, `_`, and every byte above ASCII, as PostgreSQL counts identifiers. */
export const WORD = table(/[\w\u0080-\u00ff]/);
const DIGIT = table(/\d/);
/** A vertical tab counts since PostgreSQL 16. */
export const SPACE = table(/[ \t\n\r\f\v]/);
export const NEWLINE = table(/[\n\r]/);

export const STRING = 1;
export const DOLLARS = 2;
export const COMMENT = 3;
export const LINE = 4;
export const QUOTED = 5;
export const NUMBER = 6;
export const WORDS = 7;
export const OTHER = 8;
export const PARAMETER = 9;

/** What kind of token begins at `at`. */
export function kindOf(source: Uint8Array, at: number, to: number): number {
  const byte = source[at] as number;
  const next = at + 1 < to ? (source[at + 1] as number) : 0;
  if (byte === QUOTE) return STRING;
  if (byte === DOLLAR) return endOfDollar(source, at, to) > 0 ? DOLLARS : PARAMETER;
  if (byte === DASH && next === DASH) return LINE;
  if (byte === 0x2f && next === 0x2a) return COMMENT;
  if (byte === DOUBLE) return QUOTED;
  if (DIGIT[byte] || (byte === 0x2e && DIGIT[next])) return NUMBER;
  return WORD[byte] ? WORDS : OTHER;
}

export interface Ending {
  /** Whether a backslash escapes in a string. */
  readonly backslashes: boolean;
  /** Nothing comes behind `to`. Otherwise a token of which that is not known ends there. */
  readonly last: boolean;
}

export function endOf(kind: number, source: Uint8Array, at: number, to: number, { backslashes, last }: Ending): number {
  switch (kind) {
    case STRING:
      return endOfString(source, at, to, backslashes, last);
    case DOLLARS:
      return endOfDollar(source, at, to);
    case COMMENT:
      return endOfComment(source, at, to);
    case LINE: {
      let end = at;
      while (end < to && !NEWLINE[source[end] as number]) end++;
      return end;
    }
    case QUOTED:
      return endOfQuoted(source, at, to, DOUBLE, false);
    case NUMBER: {
      const end = endOfNumber(source, at, to);
      // A sign and a digit more decide whether an `e` belongs to it.
      return end + 3 > to && end - at < 1024 && !last ? to : end;
    }
    case WORDS: {
      let end = at + 1;
      while (end < to && (WORD[source[end] as number] || source[end] === DOLLAR)) end++;
      return end;
    }
    case PARAMETER: {
      const [digits, word] = [run(DIGIT, source, at + 1, to), run(WORD, source, at + 1, to)];
      return word >= to && !last ? to : digits;
    }
    default:
      return at + 1;
  }
}

function run(bytes: Uint8Array, source: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[source[at] as number]) at++;
  return at;
}

function endOfQuoted(source: Uint8Array, start: number, to: number, quote: number, backslashes: boolean): number {
  for (let at = start + 1; at < to; at++) {
    const byte = source[at];
    if (byte === BACKSLASH && backslashes) at++;
    else if (byte === quote) {
      if (source[at + 1] !== quote || at + 1 >= to) return at + 1;
      at++;
    }
  }
  return to;
}

/** A string goes on, by the rules it began with, in the next one behind white space with a newline. */
function endOfString(source: Uint8Array, start: number, to: number, backslashes: boolean, last: boolean): number {
  for (let open = start; ; ) {
    const end = endOfQuoted(source, open, to, QUOTE, backslashes);
    const next = continued(source, end, to);
    if (next === BROKEN_OFF && !last) return to;
    if (next < 0) return end;
    open = next;
  }
}

const BROKEN_OFF = -2;

/** The quote in which a string that ends at `from` is continued; below 0 when it is not, or when that can't be seen yet. */
export function continued(source: Uint8Array, from: number, to: number): number {
  let newline = false;
  for (let at = from; at < to; at++) {
    const byte = source[at] as number;
    if (NEWLINE[byte]) newline = true;
    else if (byte === DASH) {
      if (at + 1 >= to) return BROKEN_OFF;
      if (source[at + 1] !== DASH) return -1;
      while (at + 1 < to && !NEWLINE[source[at + 1] as number]) at++;
    } else if (!SPACE[byte]) return byte === QUOTE && newline ? at : -1;
  }
  return BROKEN_OFF;
}

/** The end of `$tag$...$tag$` that begins at `start`; 0 when nothing of the kind does. */
function endOfDollar(source: Uint8Array, start: number, to: number): number {
  let open = start + 1;
  if (open < to && DIGIT[source[open] as number]) return 0;
  open = run(WORD, source, open, to);
  if (open >= to || source[open] !== DOLLAR) return 0;
  const tag = Buffer.from(source.subarray(start, open + 1));
  const end = Buffer.from(source.buffer, source.byteOffset, to).indexOf(tag, open + 1);
  return end < 0 ? to : end + tag.length;
}

/** Comments nest. */
function endOfComment(source: Uint8Array, start: number, to: number): number {
  let depth = 0;
  for (let at = start; at + 1 < to; at++) {
    if (source[at] === 0x2f && source[at + 1] === 0x2a) {
      depth++;
      at++;
    } else if (source[at] === 0x2a && source[at + 1] === 0x2f) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return to;
}

const DIGITS = table(/[\d_]/);
const PREFIXED: Readonly<Record<number, Uint8Array>> = { 0x78: table(/[\da-f_]/i), 0x6f: table(/[0-7_]/), 0x62: table(/[01_]/) };

/** Decimal, `0x`, `0o` and `0b`, with `_` between digits. Of `1..9`, a range, only the 1; of `1and`, only the 1. */
function endOfNumber(source: Uint8Array, start: number, to: number): number {
  const byte = (at: number) => (at < to ? (source[at] as number) : 0);
  const digits = byte(start) === 0x30 ? PREFIXED[byte(start + 1) | 32] : undefined;
  if (digits?.[byte(start + 2)]) return run(digits, source, start + 2, to);
  let at = run(DIGITS, source, start, to);
  if (byte(at) === 0x2e && byte(at + 1) !== 0x2e) at = run(DIGITS, source, at + 1, to);
  const signed = Number(byte(at + 1) === 0x2b || byte(at + 1) === DASH);
  return (byte(at) | 32) === 0x65 && DIGIT[byte(at + 1 + signed)] ? run(DIGITS, source, at + 1 + signed, to) : at;
}
