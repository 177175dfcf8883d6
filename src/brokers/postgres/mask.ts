/**
 * Takes literals out of SQL text before it is recorded. Code must never go with them: what PostgreSQL executes is shown,
 * in quotes as well (DO, CREATE FUNCTION), and where a text may be read in two ways only what is a literal in both is hidden.
 */
import { quotedCode } from './quoted-code.ts';
import { COMMENT, DOLLARS, endOf, kindOf, LINE, NUMBER, OTHER, QUOTED, SPACE, STRING, WORDS } from './tokens.ts';

export interface MaskRules {
  /** `literals`: strings, numbers and comments go. `passwords`: only what looks like a password goes. */
  readonly hide: 'literals' | 'passwords';
  /** Whether a backslash escapes in plain strings: `standard_conforming_strings` is off. */
  readonly backslashes: boolean;
}

const QUOTE = 0x27;
const BACKSLASH = 0x5c;
const AMPERSAND = 0x26;

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
  /** What of a string's E, B, X or U& has been read: it changes what a backslash means in it. */
  prefix: '' | 'e' | 'b' | 'u' | 'u&';
  /** The next literal is code: behind DO, and behind AS where a function is made. LANGUAGE may stand in between. */
  expects: '' | 'do' | 'language' | 'as';
  making: '' | 'create' | 'function';
  /** How many codes this text is quoted in. One that is quoted too deep is hidden as a value, and `deep` says so. */
  readonly depth: number;
  deep: boolean;
  /** Some code is read in two ways, or can't be read, so that more is shown than should be. */
  split: boolean;
}

export function freshStand(depth = 0): Stand {
  return { armed: false, prefix: '', expects: '', making: '', depth, deep: false, split: false };
}

/** Nobody quotes code in code in code so often, and each level reads all within it once more, twice where backslashes are (H03). */
const DEEPEST = 8;
const DEEPEST_SPLIT = 3;

/** Marks of a byte: shown, in the midst of what is hidden, and the first of a value or remark that is hidden. */
const INSIDE = 1;
const VALUE = 2;
const REMARK = 3;

/** The masked text of `source[from, to)`. */
export function maskSql(source: Uint8Array, from: number, to: number, rules: MaskRules): Buffer {
  const { marks, upTo } = markTokens(source, from, to, { rules, stand: freshStand(), last: true });
  return showUnmarked(source, from, upTo, marks);
}

export interface Marked {
  /** For each byte of the text whether it is shown: see `meet` and `showUnmarked`. */
  readonly marks: Uint8Array;
  readonly upTo: number;
  readonly hid: boolean;
  readonly spoke: boolean;
}

/**
 * Marks what is to be hidden, token by token. Where this is not the `last` of a text, a token that reaches the end may go on
 * behind it: it is left for later, and `upTo` says where it begins.
 */
export function markTokens(
  source: Uint8Array, from: number, to: number,
  { rules, stand, last }: { readonly rules: MaskRules; readonly stand: Stand; readonly last: boolean },
): Marked {
  const marks = new Uint8Array(to - from);
  const all = rules.hide === 'literals';
  let [at, hid, spoke] = [from, false, false];
  while (at < to) {
    const kind = kindOf(source, at, to);
    const backslashes = backslashEscapes(stand, rules);
    const end = endOf(kind, source, at, to, { backslashes, last });
    if (end >= to && !last) break;
    const spoken = kind !== OTHER && kind !== NUMBER && speaksOfPasswords(source, at, end);
    spoke ||= spoken;
    const body = (kind === STRING || kind === DOLLARS) && isCode(stand);
    const code = body && !tooDeep(stand, source, at, end);
    stand.deep ||= body && !code;
    const value = (kind === STRING || kind === DOLLARS) && !code && (all || stand.armed || body || spoken);
    const remark = (kind === COMMENT || kind === LINE) && (all || spoken);
    if (code) markCode(marks, from, { kind, source, at, end, backslashes }, rules, stand);
    else if (value || remark || (kind === NUMBER && all)) marks.fill(INSIDE, at - from, end - from)[at - from] = remark ? REMARK : VALUE;
    hid ||= value || remark || (code && (all || spoken));
    follow(stand, kind, source, at, end, spoken);
    at = end;
  }
  return { marks, upTo: at, hid, spoke };
}

/** What is shown of `source[from, to)`: one sign for each token that is hidden. The result is never longer. */
export function showUnmarked(source: Uint8Array, from: number, to: number, marks: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(to - from);
  let fill = 0;
  for (let at = 0; at < to - from; at++) {
    const mark = marks[at];
    if (mark === 0) out[fill++] = source[from + at] as number;
    else if (mark !== INSIDE || at === 0 || marks[at - 1] === 0) out[fill++] = mark === REMARK ? 0x20 : 0x3f;
  }
  return out.subarray(0, fill);
}

/** Leaves hidden in `marks` only what `others` hide as well, and answers whether they were the same. */
export function meet(marks: Uint8Array, others: Uint8Array): boolean {
  const same = Buffer.compare(marks, others) === 0;
  if (!same) for (let at = 0; at < marks.length; at++) marks[at] = marks[at] && others[at] ? Math.max(marks[at] as number, others[at] as number) : 0;
  return same;
}

/** Whether a backslash escapes in the string that begins here. In bit strings and behind U& it never does. */
export function backslashEscapes(stand: Stand, rules: MaskRules): boolean {
  return stand.prefix === 'e' || (rules.backslashes && stand.prefix !== 'b' && stand.prefix !== 'u&');
}

export function isCode(stand: Stand): boolean {
  return stand.expects === 'do' || stand.expects === 'as';
}

function tooDeep(stand: Stand, source: Uint8Array, at: number, end: number): boolean {
  return stand.depth >= DEEPEST || (stand.depth >= DEEPEST_SPLIT && source.subarray(at, end).includes(BACKSLASH));
}

interface CodeToken {
  readonly kind: number;
  readonly source: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly backslashes: boolean;
}

/** Marks what is hidden within quoted code. It runs later, maybe under other settings: backslashes are read both ways. */
function markCode(marks: Uint8Array, from: number, token: CodeToken, rules: MaskRules, around: Stand): void {
  if (around.prefix === 'u&') {
    // Its escapes may be named behind it (UESCAPE): nobody writes code so, and it is not taken apart.
    around.split = true;
    return;
  }
  const { code, places } = quotedCode(token.kind, token.source, token.at, token.end, token.backslashes);
  const both = code.includes(BACKSLASH);
  let inside: Uint8Array | null = null;
  for (const backslashes of both ? [false, true] : [rules.backslashes]) {
    const stand = freshStand(around.depth + 1);
    const marked = markTokens(code, 0, code.length, { rules: { ...rules, backslashes }, stand, last: true });
    if (inside) around.split = !meet(inside, marked.marks) || around.split;
    else inside = marked.marks;
    around.deep ||= stand.deep;
    around.split ||= stand.split;
  }
  for (const [n, mark] of (inside ?? []).entries()) {
    if (mark !== 0) marks.fill(INSIDE, (places[n] as number) - from, (places[n + 1] as number) - from)[(places[n] as number) - from] = mark;
  }
}

const SEPARATORS = new Set([0x2c, 0x3b, 0x28, 0x29]);
const PREFIX: Readonly<Record<number, Stand['prefix']>> = { 0x65: 'e', 0x62: 'b', 0x78: 'b', 0x6e: '', 0x75: 'u' };

/** What a token, `source[at, end)`, means for those behind it. */
export function follow(stand: Stand, kind: number, source: Uint8Array, at: number, end: number, spoken: boolean): void {
  const byte = source[at] as number;
  if (kind === COMMENT || kind === LINE || (kind === OTHER && SPACE[byte])) stand.prefix = '';
  else if (kind === OTHER && byte === AMPERSAND && stand.prefix === 'u' && source[end] === QUOTE) stand.prefix = 'u&';
  else if (kind === WORDS && end - at === 1 && PREFIX[byte | 32] !== undefined && source[end] === ((byte | 32) === 0x75 ? AMPERSAND : QUOTE)) {
    // It belongs to the literal behind it.
    stand.prefix = PREFIX[byte | 32] as Stand['prefix'];
  } else {
    stand.prefix = '';
    stand.expects = expected(stand, kind, kind === WORDS ? wordAt(source, at, end) : '');
    if (kind === QUOTED || kind === WORDS) stand.armed = spoken;
    else if (kind === NUMBER || (kind === OTHER && SEPARATORS.has(byte))) stand.armed = false;
    if (kind === OTHER && byte === 0x3b) stand.making = '';
  }
}

/** A word in lower case; none of those that count is longer than `procedure`. */
function wordAt(source: Uint8Array, at: number, end: number): string {
  return end - at > 9 ? '' : Buffer.from(source.subarray(at, end)).toString('latin1').toLowerCase();
}

function expected(stand: Stand, kind: number, word: string): Stand['expects'] {
  if (word === 'create') stand.making = 'create';
  else if (stand.making === 'create' && (word === 'function' || word === 'procedure')) stand.making = 'function';
  if (stand.expects === 'language' && kind !== OTHER && kind !== NUMBER) return 'do';
  if (kind === STRING || kind === DOLLARS) return stand.expects === 'do' ? 'do' : '';
  if (word === 'do' || (word === 'as' && stand.making === 'function')) return word;
  return word === 'language' && stand.expects === 'do' ? 'language' : '';
}
