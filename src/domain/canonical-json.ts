import type { Json, JsonObject } from './json.ts';

/** Deeper data is refused: nothing of ours is, and a reader must not be made to run out of stack. */
const MAX_DEPTH = 64;

/**
 * Canonical JSON after RFC 8785 (JCS): no white space, object members sorted by UTF-16 code units, numbers and strings
 * as ECMAScript writes them. What is hashed, signed or logged is written this way, so that anyone can write it again.
 *
 * @throws TypeError for what JSON cannot carry (NaN, infinities, lone surrogates, `undefined`, holes, other classes,
 *   cycles) and for data nested deeper than 64.
 */
export function canonicalJson(value: Json): string {
  return write(value, 0);
}

function write(value: Json, depth: number): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number that JSON cannot carry');
    return JSON.stringify(value);
  }
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} is not JSON`);
  if (depth === MAX_DEPTH) throw new TypeError(`JSON nested deeper than ${MAX_DEPTH}`);
  // Array.from, unlike map, visits holes; they are then refused as undefined.
  if (Array.isArray(value)) return `[${Array.from(value, (each) => write(each, depth + 1)).join(',')}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('only plain objects are JSON');
  const object = value as JsonObject;
  const members = Object.keys(object)
    .sort()
    .map((name) => `${writeString(name)}:${write(object[name] as Json, depth + 1)}`);
  return `{${members.join(',')}}`;
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('a string with a lone surrogate');
  return JSON.stringify(text);
}

/**
 * Reads canonical JSON and refuses every other spelling of the same data: white space, another order, a member given
 * twice, `1.0` for `1`. Two texts that pass are the same data only if they are the same bytes.
 *
 * Stricter than RFC 8785 in one thing: names that need an escape (quote, backslash, control) are refused. V8's
 * JSON.parse reads them wrongly when it has seen certain other names before (nodejs/node issue 63785), and a verifier's
 * answer must not hang on what it read before.
 *
 * @throws SyntaxError
 */
export function parseCanonicalJson(text: string): Json {
  const value = JSON.parse(text) as Json;
  const escapes = text.includes('\\');
  // ECMAScript keeps members in the order of the text and writes values as RFC 8785 wants them, so the fast way is to
  // look whether they are sorted. Lone surrogates, and names like "10" that ECMAScript moves, take the slow way.
  if (sorted(value, 0, escapes) && !(escapes && text.includes('\\ud')) && JSON.stringify(value) === text) return value;
  try {
    if (canonicalJson(value) === text) return value;
  } catch (error) {
    throw new SyntaxError('JSON that has no canonical form', { cause: error });
  }
  throw new SyntaxError('JSON that is not in its canonical form');
}

// oxlint-disable-next-line no-control-regex -- these are what JSON escapes
const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

function sorted(value: Json, depth: number, escapes: boolean): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (depth === MAX_DEPTH) return false;
  if (Array.isArray(value)) {
    // No `every`: it would leave names further on unlooked at.
    let all = true;
    for (const each of value as Json[]) all = sorted(each, depth + 1, escapes) && all;
    return all;
  }
  const object = value as JsonObject;
  let all = true;
  let before: string | null = null;
  for (const name of Object.keys(object)) {
    if (escapes && NEEDS_ESCAPE.test(name)) throw new SyntaxError('JSON with a member name that needs an escape');
    if (!sorted(object[name] as Json, depth + 1, escapes) || (before !== null && before >= name)) all = false;
    before = name;
  }
  return all;
}
