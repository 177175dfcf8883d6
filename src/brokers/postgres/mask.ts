/**
 * Takes literals out of SQL text before it is recorded: a small tokenizer over bytes that follows PostgreSQL's lexical
 * rules and, where text is odd or broken off, hides too much rather than too little. The result is never longer.
 */

export interface MaskRules {
  /** `literals`: strings, numbers and comments go. `passwords`: only what looks like a password goes. */
  readonly hide: 'literals' | 'passwords';
  /** Whether a backslash escapes in plain strings: `standard_conforming_strings` is off. */
  readonly backslashes: boolean;
}

const QUOTE = 0x27;
const DOUBLE = 0x22;
const DOLLAR = 0x24;
const BACKSLASH = 0x5c;
const HIDDEN = 0x3f;

/** Letters, digits, `_`, and every byte above ASCII, as PostgreSQL counts identifiers. */
export const WORD = new Uint8Array(256).map((_, byte) => Number(byte > 127 || /\w/.test(String.fromCharCode(byte))));
const DIGIT = new Uint8Array(256).map((_, byte) => Number(byte >= 0x30 && byte <= 0x39));

/** Whether `passw` stands anywhere in these bytes, in any case: only such text needs the `passwords` rules. */
export function speaksOfPasswords(text: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at + 4 < to; at++) {
    if (((text[at] as number) | 32) !== 0x70) continue;
    if (
      ((text[at + 1] as number) | 32) === 0x61 && ((text[at + 2] as number) | 32) === 0x73 &&
      ((text[at + 3] as number) | 32) === 0x73 && ((text[at + 4] as number) | 32) === 0x77
    ) return true;
  }
  return false;
}

/** Where the tokenizer stands between two tokens. */
export interface Stand {
  /** A password literal may be preceded by `=`, white space or a comment, and go on in the next literal. */
  armed: boolean;
  /** The last token was a lone E: backslashes escape in the string right behind it. */
  escape: boolean;
  /** What DO and CREATE FUNCTION quote by dollars is code, not a value: it is taken apart like the text around it. */
  code: boolean;
  head: string;
  /** How many codes this text is quoted in. One that is quoted too deep is hidden as a value, and `deep` says so. */
  readonly depth: number;
  deep: boolean;
}

export function freshStand(depth = 0): Stand {
  return { armed: false, escape: false, code: false, head: '', depth, deep: false };
}

/** Nobody quotes code in code in code so often, and each level reads all within it once more (H03). */
const DEEPEST = 8;

/** The masked text of `source[from, to)`. */
export function maskSql(source: Uint8Array, from: number, to: number, rules: MaskRules): Buffer {
  return maskTokens(source, from, to, { rules, stand: freshStand(), last: true }).shown;
}

/**
 * Masks token by token. Where this is not the `last` of a text, a token that reaches the end may go on behind it: it is
 * left for later, and `upTo` says where it begins.
 */
export function maskTokens(
  source: Uint8Array, from: number, to: number,
  { rules, stand, last }: { readonly rules: MaskRules; readonly stand: Stand; readonly last: boolean },
): { readonly shown: Buffer; readonly upTo: number; readonly hid: boolean; readonly spoke: boolean } {
  const out = Buffer.allocUnsafe(to - from);
  const all = rules.hide === 'literals';
  let [fill, at, hid, spoke] = [0, from, false, false];
  while (at < to) {
    const kind = kindOf(source, at, to);
    const end = endOf(kind, source, at, to, rules.backslashes || stand.escape);
    if (end >= to && !last) break;
    const spoken = kind !== OTHER && kind !== NUMBER && speaksOfPasswords(source, at, end);
    spoke ||= spoken;
    const body = kind === DOLLARS && stand.code && !stand.armed;
    const code = body && stand.depth < DEEPEST;
    stand.deep ||= body && !code;
    const value = (kind === STRING || kind === DOLLARS) && !code && (all || stand.armed || body || spoken);
    const remark = (kind === COMMENT || kind === LINE) && (all || spoken);
    if (code) fill += maskBody(source, at, end, rules, stand).copy(out, fill);
    else if (value || remark || (kind === NUMBER && all)) out[fill++] = remark ? 0x20 : HIDDEN;
    else for (let read = at; read < end; read++) out[fill++] = source[read] as number;
    hid ||= value || remark || (code && (all || spoken));
    follow(stand, kind, source, at, end, spoken);
    at = end;
  }
  return { shown: out.subarray(0, fill), upTo: at, hid, spoke };
}

export const STRING = 1;
export const DOLLARS = 2;
export const COMMENT = 3;
export const LINE = 4;
export const QUOTED = 5;
export const NUMBER = 6;
export const WORDS = 7;
export const OTHER = 8;

/** What kind of token begins at `at`. */
export function kindOf(source: Uint8Array, at: number, to: number): number {
  const byte = source[at] as number;
  const next = at + 1 < to ? (source[at + 1] as number) : 0;
  if (byte === QUOTE) return STRING;
  if (byte === DOLLAR) return endOfDollar(source, at, to) > 0 ? DOLLARS : WORDS;
  if (byte === 0x2d && next === 0x2d) return LINE;
  if (byte === 0x2f && next === 0x2a) return COMMENT;
  if (byte === DOUBLE) return QUOTED;
  if (DIGIT[byte] || (byte === 0x2e && DIGIT[next])) return NUMBER;
  return WORD[byte] ? WORDS : OTHER;
}

function endOf(kind: number, source: Uint8Array, at: number, to: number, backslashes: boolean): number {
  switch (kind) {
    case STRING:
      return endOfString(source, at, to, backslashes);
    case DOLLARS:
      return endOfDollar(source, at, to);
    case COMMENT:
      return endOfComment(source, at, to);
    case LINE:
      return endOfLine(source, at, to);
    case QUOTED:
      return endOfString(source, at, to, false, DOUBLE);
    case NUMBER:
      return endOfNumber(source, at, to);
    case WORDS: {
      let end = at + 1;
      while (end < to && (WORD[source[end] as number] || source[end] === DOLLAR)) end++;
      return end;
    }
    default:
      return at + 1;
  }
}

/** What a token, `source[at, end)`, means for those behind it. */
export function follow(stand: Stand, kind: number, source: Uint8Array, at: number, end: number, spoken: boolean): void {
  const byte = source[at] as number;
  stand.escape = kind === WORDS && end - at === 1 && (byte | 32) === 0x65;
  if (kind === QUOTED) stand.armed = spoken;
  else if (kind === NUMBER) stand.armed = false;
  else if (kind === WORDS) {
    if (!stand.code && (stand.head === '' || stand.head === 'create')) {
      const word = Buffer.from(source.subarray(at, Math.min(end, at + 10))).toString('latin1').toLowerCase();
      stand.head ||= word;
      stand.code = stand.head === 'do' || word === 'function' || word === 'procedure';
    }
    // The E, U&, B, X or N in front of a literal belongs to it.
    if (!(stand.armed && (source[end] === QUOTE || source[end] === 0x26))) stand.armed = spoken;
  } else if (kind === OTHER) {
    if (byte === 0x2c || byte === 0x3b || byte === 0x28 || byte === 0x29) stand.armed = false;
    if (byte === 0x3b) [stand.head, stand.code] = ['', false];
  }
}

function endOfString(source: Uint8Array, start: number, to: number, backslashes: boolean, quote = QUOTE): number {
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

/** The end of `$tag$...$tag$` that begins at `start`; 0 when nothing of the kind does. */
function endOfDollar(source: Uint8Array, start: number, to: number): number {
  let open = start + 1;
  if (open < to && DIGIT[source[open] as number]) return 0;
  while (open < to && WORD[source[open] as number]) open++;
  if (open >= to || source[open] !== DOLLAR) return 0;
  const tag = Buffer.from(source.subarray(start, open + 1));
  const end = Buffer.from(source.buffer, source.byteOffset, to).indexOf(tag, open + 1);
  return end < 0 ? to : end + tag.length;
}

/** `$tag$...$tag$` with its inside masked; a string that is broken off has no second tag. */
function maskBody(source: Uint8Array, start: number, end: number, rules: MaskRules, around: Stand): Buffer {
  const whole = Buffer.from(source.buffer, source.byteOffset + start, end - start);
  const tag = whole.subarray(0, whole.indexOf(DOLLAR, 1) + 1);
  const closed = whole.length >= 2 * tag.length && whole.subarray(-tag.length).equals(tag);
  const stand = freshStand(around.depth + 1);
  const inside = maskTokens(whole, tag.length, closed ? whole.length - tag.length : whole.length, { rules, stand, last: true }).shown;
  around.deep ||= stand.deep;
  return Buffer.concat(closed ? [tag, inside, tag] : [tag, inside]);
}

function endOfLine(source: Uint8Array, start: number, to: number): number {
  let at = start;
  while (at < to && source[at] !== 0x0a && source[at] !== 0x0d) at++;
  return at;
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

function endOfNumber(source: Uint8Array, start: number, to: number): number {
  let at = start + 1;
  for (; at < to; at++) {
    const byte = source[at] as number;
    const signed = (byte === 0x2b || byte === 0x2d) && ((source[at - 1] as number) | 32) === 0x65 && DIGIT[source[at + 1] ?? 0];
    if (!WORD[byte] && byte !== 0x2e && !signed) break;
  }
  return at;
}
