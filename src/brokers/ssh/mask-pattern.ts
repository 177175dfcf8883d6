/**
 * The regular expressions of mask rules, read into a tree. Only what an automaton can do in one pass: characters, classes, groups,
 * `|`, `?`, `*`, `+`, `{n}`, `{n,}`, `{n,m}`, and `(?i)` in front. No look-around, no back-references, no anchors: without them time
 * is linear in the text whatever the rule says. Bytes are matched, so that a text's encoding does not matter.
 */
export type Pattern =
  | { readonly type: 'set'; readonly set: ByteSet }
  | { readonly type: 'all' | 'one'; readonly of: readonly Pattern[] }
  | { readonly type: 'repeat'; readonly of: Pattern; readonly least: number; readonly most: number };

/** 256 flags, one for each byte. */
export type ByteSet = Uint8Array;

/** A rule that can't be used; the message says why. */
export class BadRule extends Error {
  override readonly name = 'BadRule';
}

const MOST_CHARACTERS = 1000;
const MOST_DEPTH = 20;

export function readPattern(text: string): Pattern {
  const caseless = text.startsWith('(?i)');
  const reader = new PatternReader(caseless ? text.slice(4) : text, caseless);
  return reader.whole();
}

/** A class and how often, such as `[0-9A-Z]{16,64}`: what a rule hides. */
export function readRun(text: string): { readonly set: ByteSet; readonly least: number; readonly most: number } {
  const pattern = readPattern(text);
  if (pattern.type === 'repeat' && pattern.of.type === 'set') return { set: pattern.of.set, least: Math.max(1, pattern.least), most: pattern.most };
  throw new BadRule(`what is hidden is one class and how often, as in [0-9A-Z]{16}: ${text}`);
}

const CLASSES: Readonly<Record<string, string>> = { d: '0-9', w: '0-9A-Z_a-z', s: '\t-\r ' };
const NAMED: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, e: 27 };

class PatternReader {
  readonly #text: string;
  readonly #caseless: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, caseless: boolean) {
    if (text.length > MOST_CHARACTERS) throw new BadRule(`an expression has at most ${MOST_CHARACTERS} characters`);
    this.#text = text;
    this.#caseless = caseless;
  }

  whole(): Pattern {
    const pattern = this.#alternatives();
    if (this.#at < this.#text.length) throw this.#wrong('a ) without its (');
    return pattern;
  }

  #alternatives(): Pattern {
    if (++this.#depth > MOST_DEPTH) throw this.#wrong('groups within groups too deep');
    const of = [this.#sequence()];
    while (this.#take('|')) of.push(this.#sequence());
    this.#depth -= 1;
    return of.length === 1 ? (of[0] as Pattern) : { type: 'one', of };
  }

  #sequence(): Pattern {
    const of: Pattern[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#peek())) of.push(this.#repeated(this.#atom()));
    return of.length === 1 ? (of[0] as Pattern) : { type: 'all', of };
  }

  #repeated(of: Pattern): Pattern {
    const sign = this.#peek();
    if (sign === '?' || sign === '*' || sign === '+') {
      this.#at += 1;
      return { type: 'repeat', of, least: sign === '+' ? 1 : 0, most: sign === '?' ? 1 : Infinity };
    }
    const counts = /^\{(\d{1,5})(,(\d{1,5})?)?\}/.exec(this.#text.slice(this.#at));
    if (!counts) return of;
    this.#at += counts[0].length;
    const least = Number(counts[1]);
    const most = counts[3] === undefined ? (counts[2] === undefined ? least : Infinity) : Number(counts[3]);
    if (most < least) throw this.#wrong('the second count is below the first');
    return { type: 'repeat', of, least, most };
  }

  #atom(): Pattern {
    const sign = this.#peek();
    if (sign === '(') {
      this.#at += this.#text.startsWith('(?:', this.#at) ? 3 : 1;
      const pattern = this.#alternatives();
      if (!this.#take(')')) throw this.#wrong('a ( without its )');
      return pattern;
    }
    if (sign === '[') return this.#class();
    if ('?*+{^$'.includes(sign)) throw this.#wrong(`${sign} has no meaning here; write \\${sign}`);
    if (sign === '.') {
      this.#at += 1;
      return { type: 'set', set: invert(setOf([10, 13])) };
    }
    const one = this.#character();
    return { type: 'set', set: this.#fold(typeof one === 'number' ? setOf([one]) : one) };
  }

  #class(): Pattern {
    this.#at += 1;
    const inverted = this.#take('^');
    const set = new Uint8Array(256);
    while (!this.#take(']')) {
      if (this.#at >= this.#text.length) throw this.#wrong('a [ without its ]');
      const first = this.#character();
      if (typeof first !== 'number') {
        for (let byte = 0; byte < 256; byte++) if (first[byte]) set[byte] = 1;
        continue;
      }
      const range = this.#peek() === '-' && this.#text[this.#at + 1] !== ']';
      if (range) this.#at += 1;
      const last = range ? this.#character() : first;
      if (typeof last !== 'number' || last < first) throw this.#wrong('a range in a class goes upwards, from one character to another');
      set.fill(1, first, last + 1);
    }
    const folded = this.#fold(set);
    return { type: 'set', set: inverted ? invert(folded) : folded };
  }

  /** One character, or the class that a letter behind a backslash stands for. */
  #character(): number | ByteSet {
    const sign = this.#text[this.#at++] ?? '';
    if (sign !== '\\') return this.#byte(sign);
    const escaped = this.#text[this.#at++];
    if (escaped === undefined) throw this.#wrong('a \\ at the end');
    if (escaped === 'x') {
      const hex = /^[0-9A-Fa-f]{2}/.exec(this.#text.slice(this.#at))?.[0];
      if (hex === undefined) throw this.#wrong('\\x has two hexadecimal digits');
      this.#at += 2;
      return Number.parseInt(hex, 16);
    }
    const members = CLASSES[escaped.toLowerCase()];
    if (members !== undefined) {
      const set = new Uint8Array(256);
      for (const [, from = '', to = from] of members.matchAll(/([^])(?:-([^]))?/g)) set.fill(1, from.charCodeAt(0), to.charCodeAt(0) + 1);
      return escaped in CLASSES ? set : invert(set);
    }
    const named = NAMED[escaped];
    if (named !== undefined) return named;
    if (/[0-9A-Za-z]/.test(escaped)) throw this.#wrong(`\\${escaped} is not known`);
    return this.#byte(escaped);
  }

  #byte(sign: string): number {
    const code = sign.charCodeAt(0);
    if (code > 127) throw this.#wrong('characters beyond ASCII are written as their bytes, \\xc3\\xa9');
    return code;
  }

  #fold(set: ByteSet): ByteSet {
    if (!this.#caseless) return set;
    const folded = set.slice();
    for (let upper = 65; upper <= 90; upper++) if (set[upper] || set[upper + 32]) folded[upper] = folded[upper + 32] = 1;
    return folded;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #take(sign: string): boolean {
    const there = this.#at < this.#text.length && this.#peek() === sign;
    if (there) this.#at += 1;
    return there;
  }

  #wrong(why: string): BadRule {
    return new BadRule(`${why}, at character ${this.#at + 1} of ${this.#text}`);
  }
}

function setOf(bytes: readonly number[]): ByteSet {
  const set = new Uint8Array(256);
  for (const byte of bytes) set[byte] = 1;
  return set;
}

function invert(set: ByteSet): ByteSet {
  return set.map((flag) => 1 - flag);
}
