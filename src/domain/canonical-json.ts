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
 * @throws SyntaxError
 */
export function parseCanonicalJson(text: string): Json {
  const value = JSON.parse(text) as Json;
  // ECMAScript keeps members in the order of the text and writes values as RFC 8785 wants them, so the fast way is to
  // look whether they are sorted. Lone surrogates, and names like "10" that ECMAScript moves, take the slow way.
  if (sorted(value, 0) && !text.includes('\\ud') && JSON.stringify(value) === text) return value;
  try {
    if (canonicalJson(value) === text) return value;
  } catch (error) {
    throw new SyntaxError('JSON that has no canonical form', { cause: error });
  }
  throw new SyntaxError('JSON that is not in its canonical form');
}

function sorted(value: Json, depth: number): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (depth === MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((each) => sorted(each, depth + 1));
  const object = value as JsonObject;
  let before: string | null = null;
  for (const name of Object.keys(object)) {
    if ((before !== null && before >= name) || !sorted(object[name] as Json, depth + 1)) return false;
    before = name;
  }
  return true;
}
