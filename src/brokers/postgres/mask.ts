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
const WORD = new Uint8Array(256).map((_, byte) => Number(byte > 127 || /\w/.test(String.fromCharCode(byte))));
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

/** The masked text of `source[from, to)`. */
export function maskSql(source: Uint8Array, from: number, to: number, rules: MaskRules): Buffer {
  const out = Buffer.allocUnsafe(to - from);
  const all = rules.hide === 'literals';
  let fill = 0;
  // A password literal may be preceded by `=`, white space or a comment, and go on in the next literal.
  let armed = false;
  // What DO and CREATE FUNCTION quote by dollars is code, not a value: it is taken apart like the text around it.
  let [head, code] = ['', false];
  const copy = (start: number, end: number) => {
    for (let read = start; read < end; read++) out[fill++] = source[read] as number;
  };
  for (let at = from; at < to; ) {
    const byte = source[at] as number;
    const next = source[at + 1];
    let end: number;
    if (byte === QUOTE) {
      end = endOfString(source, at, to, rules.backslashes || isEscapeString(source, at, from));
      if (all || armed || speaksOfPasswords(source, at, end)) out[fill++] = HIDDEN;
      else copy(at, end);
    } else if (byte === DOLLAR && (end = endOfDollar(source, at, to)) > 0) {
      if (code && !armed) fill += maskBody(source, at, end, rules).copy(out, fill);
      else if (all || armed || speaksOfPasswords(source, at, end)) out[fill++] = HIDDEN;
      else copy(at, end);
    } else if ((byte === 0x2d && next === 0x2d) || (byte === 0x2f && next === 0x2a)) {
      end = byte === 0x2d ? endOfLine(source, at, to) : endOfComment(source, at, to);
      if (all || speaksOfPasswords(source, at, end)) out[fill++] = 0x20;
      else copy(at, end);
    } else if (byte === DOUBLE) {
      end = endOfString(source, at, to, false, DOUBLE);
      armed = speaksOfPasswords(source, at, end);
      copy(at, end);
    } else if (DIGIT[byte] || (byte === 0x2e && DIGIT[next ?? 0])) {
      end = endOfNumber(source, at, to);
      if (all) out[fill++] = HIDDEN;
      else copy(at, end);
      armed = false;
    } else if (WORD[byte] || byte === DOLLAR) {
      end = at + 1;
      while (end < to && (WORD[source[end] as number] || source[end] === DOLLAR)) end++;
      if (!code && (head === '' || head === 'create')) {
        const word = Buffer.from(source.subarray(at, Math.min(end, at + 10))).toString('latin1').toLowerCase();
        head ||= word;
        code = head === 'do' || word === 'function' || word === 'procedure';
      }
      // The E, U&, B, X or N in front of a literal belongs to it.
      if (!(armed && (source[end] === QUOTE || source[end] === 0x26))) armed = speaksOfPasswords(source, at, end);
      copy(at, end);
    } else {
      end = at + 1;
      if (byte === 0x2c || byte === 0x3b || byte === 0x28 || byte === 0x29) armed = false;
      if (byte === 0x3b) [head, code] = ['', false];
      out[fill++] = byte;
    }
    at = end;
  }
  return out.subarray(0, fill);
}

/** Whether the quote at `at` is that of `E'...'`: a lone E in front of it. */
function isEscapeString(source: Uint8Array, at: number, from: number): boolean {
  if (at - 1 < from || ((source[at - 1] as number) | 32) !== 0x65) return false;
  const before = at - 2 < from ? 0x20 : (source[at - 2] as number);
  return !WORD[before] && before !== DOLLAR;
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
function maskBody(source: Uint8Array, start: number, end: number, rules: MaskRules): Buffer {
  const whole = Buffer.from(source.buffer, source.byteOffset + start, end - start);
  const tag = whole.subarray(0, whole.indexOf(DOLLAR, 1) + 1);
  const closed = whole.length >= 2 * tag.length && whole.subarray(-tag.length).equals(tag);
  const inside = maskSql(whole, tag.length, closed ? whole.length - tag.length : whole.length, rules);
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
