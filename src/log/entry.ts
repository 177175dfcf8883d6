/**
 * The log entry on the wire: one change of state, as canonical JSON (RFC 8785) in UTF-8, hashed as an RFC 6962 leaf.
 *
 * The envelope is public: ids, instants, numbers, codes and Brevet's own words, all printable. What names or describes a
 * person stands sealed in `personal`; destroying the subject's key erases it, and every proof still holds.
 */
import { isUtf8 } from 'node:buffer';
import { canonicalJson, parseCanonicalJson } from '#domain/canonical-json.ts';
import { type Id, isId, type PrincipalId } from '#domain/id.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Malformed } from './malformed.ts';
import { isPrintableJson, publicData, shrinkData } from './public-data.ts';

/** Below the 65,535 bytes that an entry bundle can carry (c2sp.org/tlog-tiles), with room for what may come. */
export const MAX_ENTRY_BYTES = 60_000;
/** Room for the envelope and the personal part beside data that had to be made smaller. */
const SHRUNK_DATA_BYTES = 24_000;
const MAX_SEALED = 32_000;

/** Personal data under AES-256-GCM with a key of the subject alone. */
export interface PersonalPart {
  readonly subject: PrincipalId;
  readonly alg: 'A256GCM';
  /** Base64 of what the sealer made, opaque here; at most 32,000 characters. */
  readonly sealed: string;
}

export interface LogEntry {
  readonly v: 1;
  readonly id: Id<'event'>;
  /** The database's clock, RFC 3339 in UTC with milliseconds: `2026-03-01T09:30:00.000Z`. */
  readonly at: string;
  /** `<noun>.<what happened>`, such as `grant.active`; `history.ts` knows which of them change a state. */
  readonly type: string;
  /** Who did it. */
  readonly actor: PrincipalId | 'system';
  /** Facts. `request`, `grant`, `session`, `target`, `principal` and `onBehalfOf` hold those ids. */
  readonly data: JsonObject;
  readonly personal: PersonalPart | null;
}

const MEMBERS = ['actor', 'at', 'data', 'id', 'personal', 'type', 'v'];
const PERSONAL_MEMBERS = ['alg', 'sealed', 'subject'];
const TYPE = /^[a-z][a-z_]{0,39}\.[a-z][a-z_]{0,39}$/;
const INSTANT = /^20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The bytes to be hashed and kept. `data` is made public first (`publicData`), so that no text of a target, a driver or
 * an attacker can make an entry unfit, and is shrunk when the entry would be above 60,000 bytes.
 *
 * @throws Malformed when another field is not what it must be: a defect of the caller.
 */
export function encodeEntry(entry: LogEntry): Buffer {
  const data = publicData(checkEntry(entry).data);
  const whole = write({ ...entry, data });
  if (whole.length <= MAX_ENTRY_BYTES) return whole;
  return write({ ...entry, data: shrinkData(data, SHRUNK_DATA_BYTES) });
}

function write(entry: LogEntry): Buffer {
  return Buffer.from(canonicalJson(entry as unknown as Json));
}

/** Reads an entry back: only what `encodeEntry` writes, byte for byte. @throws Malformed */
export function parseEntry(bytes: Uint8Array): LogEntry {
  if (bytes.length > MAX_ENTRY_BYTES) throw new Malformed(`the entry is larger than ${MAX_ENTRY_BYTES} bytes`);
  // Checked apart, for the decoder would replace what is not UTF-8, and other bytes would read as the same entry.
  if (!isUtf8(bytes)) throw new Malformed('the entry is not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  if (!isPrintableJson(text)) throw new Malformed('the entry holds control characters');
  let value: Json;
  try {
    value = parseCanonicalJson(text);
  } catch {
    throw new Malformed('the entry is not canonical JSON');
  }
  return checkEntry(value);
}

function hasMembers(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

const isPrincipal = (id: unknown): id is PrincipalId => isId('person', id) || isId('workload', id);

function checkEntry(value: unknown): LogEntry {
  if (!hasMembers(value, MEMBERS)) throw new Malformed(`an entry has exactly the members ${MEMBERS.join(', ')}`);
  const { v, id, at, type, actor, data, personal } = value as LogEntry;
  if (v !== 1) throw new Malformed('the entry is of an unknown version');
  if (!isId('event', id)) throw new Malformed('id: not the id of an event');
  if (typeof at !== 'string' || !INSTANT.test(at)) throw new Malformed('at: not an instant in UTC with milliseconds');
  if (typeof type !== 'string' || !TYPE.test(type)) throw new Malformed('type: not <noun>.<what happened>');
  if (actor !== 'system' && !isPrincipal(actor)) throw new Malformed('actor: neither a principal nor the system');
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new Malformed('data: not an object');
  if (personal !== null) checkPersonal(personal);
  return value as LogEntry;
}

function checkPersonal(value: unknown): void {
  if (!hasMembers(value, PERSONAL_MEMBERS)) throw new Malformed(`personal: has exactly the members ${PERSONAL_MEMBERS.join(', ')}`);
  const { subject, alg, sealed } = value as PersonalPart;
  if (!isPrincipal(subject)) throw new Malformed('personal.subject: not the id of a principal');
  if (alg !== 'A256GCM') throw new Malformed('personal.alg: unknown');
  if (typeof sealed !== 'string' || sealed === '' || !BASE64.test(sealed)) throw new Malformed('personal.sealed: not base64');
  if (sealed.length > MAX_SEALED) throw new Malformed(`personal.sealed: longer than ${MAX_SEALED} characters`);
}
