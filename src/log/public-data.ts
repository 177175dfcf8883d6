/**
 * What may stand in the public part of an entry. A log entry must never fail because of what a target answered or an
 * attacker typed - a removal that can't be logged can't be committed - so unfit text is made fit instead of refused.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '#domain/canonical-json.ts';
import type { Json, JsonObject } from '#domain/json.ts';

const MAX_TEXT = 2000;

/**
 * What a terminal or a page could take for more than text: C0 and C1 controls, DEL, line separators, bidirectional
 * controls, the byte order mark, and half surrogates.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;
const ALL_UNPRINTABLE = new RegExp(UNPRINTABLE, 'gu');

/** Whether a canonical JSON text shows and hides nothing: no such character, raw or escaped. */
export function isPrintableJson(text: string): boolean {
  // Canonical JSON escapes the quote, the backslash and control characters only.
  return !UNPRINTABLE.test(text) && !(text.includes('\\') && /(?:^|[^\\])(?:\\\\)*\\[^"\\]/.test(text));
}

/** A member of such a name may say which secret was used, by its id; it never holds one. */
const SECRET_NAME = /passw|passphrase|secret|token|credential|authori[sz]ation|cookie|private.?key|api.?key/i;
const SECRET_VALUE = /-----BEGIN [A-Z ]*PRIVATE KEY-----|:\/\/[^\s/:@]*:[^\s/@]+@/;
const AN_ID = /^[a-z]{3}_[0-9a-z]{26}$/;
const WITHHELD = '[withheld]';

/**
 * A copy of `data` that may be public and can be written: unprintable characters are spelled out as `{U+1B}`, and in
 * names the quote and the backslash too (`parseCanonicalJson` says why); long strings are cut, members without a value are left out, and whatever is named or looks like a secret is withheld.
 */
export function publicData(data: JsonObject): JsonObject {
  return fitObject(data);
}

function fitObject(object: JsonObject): JsonObject {
  const members = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members.map(([name, value]) => [fitName(name), fit(value, SECRET_NAME.test(name))]));
}

function fit(value: Json, secret: boolean): Json {
  if (typeof value === 'string') return (secret && !AN_ID.test(value)) || SECRET_VALUE.test(value) ? WITHHELD : fitText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (value === null || typeof value !== 'object') return value ?? null;
  return Array.isArray(value) ? value.map((each: Json) => fit(each, secret)) : fitObject(value as JsonObject);
}

function fitText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return cut.replaceAll(ALL_UNPRINTABLE, spell);
}

const fitName = (name: string): string => fitText(name).replaceAll(/["\\]/g, spell);

function spell(char: string): string {
  return `{U+${(char.codePointAt(0) as number).toString(16).toUpperCase()}}`;
}

/**
 * Makes data that would burst an entry small: its largest members give way, one after the other, to their size and
 * SHA-256, so that what was left out can still be shown to be the same.
 */
export function shrinkData(data: JsonObject, maxBytes: number): JsonObject {
  const members = Object.entries(data).map(([name, value]) => ({ name, value, bytes: Buffer.from(canonicalJson(value)) }));
  let total = members.reduce((sum, { name, bytes }) => sum + Buffer.byteLength(JSON.stringify(name)) + bytes.length + 2, 2);
  for (const member of members.toSorted((a, b) => b.bytes.length - a.bytes.length)) {
    if (total <= maxBytes) break;
    member.value = { omittedBytes: member.bytes.length, sha256: hash('sha256', member.bytes, 'hex') };
    total += canonicalJson(member.value).length - member.bytes.length;
  }
  return Object.fromEntries(members.map(({ name, value }) => [name, value]));
}
