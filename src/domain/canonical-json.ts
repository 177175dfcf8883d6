import type { Json } from './json.ts';

/**
 * Canonical JSON after RFC 8785 (JCS): no white space, object members sorted by UTF-16 code units, numbers as
 * ECMAScript writes them. What is hashed, signed or logged is written this way, so that anyone can write it again.
 *
 * @throws TypeError for what JSON cannot carry: NaN, infinities, lone surrogates, `undefined`, other classes.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number that JSON cannot carry');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a string with a lone surrogate');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} is not JSON`);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('only plain objects are JSON');
  const object = value as Record<string, Json>;
  const members = Object.keys(object)
    .sort()
    .map((name) => `${canonicalJson(name)}:${canonicalJson(object[name] as Json)}`);
  return `{${members.join(',')}}`;
}
