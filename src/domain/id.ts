/**
 * Identifiers. Every id is `<prefix>_<26 characters>`: a lower-case ULID (48 bits of milliseconds, 80 random bits,
 * Crockford base 32), so that ids sort by creation and a request id can't be passed where a grant id belongs.
 */
export const ID_PREFIXES = {
  person: 'per',
  workload: 'wkl',
  group: 'grp',
  folder: 'fld',
  target: 'tgt',
  entitlement: 'ent',
  request: 'req',
  review: 'rev',
  grant: 'grt',
  part: 'prt',
  session: 'ses',
  key: 'key',
  broker: 'brk',
  event: 'evt',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;
export type Id<K extends IdKind> = `${(typeof ID_PREFIXES)[K]}_${string}`;

export type PersonId = Id<'person'>;
export type WorkloadId = Id<'workload'>;
export type PrincipalId = PersonId | WorkloadId;
export type GroupId = Id<'group'>;
export type FolderId = Id<'folder'>;
export type TargetId = Id<'target'>;
export type EntitlementId = Id<'entitlement'>;
export type RequestId = Id<'request'>;
export type ReviewId = Id<'review'>;
export type GrantId = Id<'grant'>;
export type PartId = Id<'part'>;
export type SessionId = Id<'session'>;
export type KeyId = Id<'key'>;
export type BrokerId = Id<'broker'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BODY = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Makes an id from the instant (milliseconds since 1970) and 10 random bytes, both handed in. */
export function makeId<K extends IdKind>(kind: K, atMs: number, random: Uint8Array): Id<K> {
  if (random.length !== 10) throw new RangeError('an id takes 10 random bytes');
  let time = '';
  for (let rest = atMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = ALPHABET[rest % 32] + time;
  let tail = '';
  let bits = 0;
  let held = 0;
  for (const byte of random) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return `${ID_PREFIXES[kind]}_${time}${tail}` as Id<K>;
}

/** Whether `text` is a well-formed id of this kind. Says nothing about whether such an object exists. */
export function isId<K extends IdKind>(kind: K, text: unknown): text is Id<K> {
  if (typeof text !== 'string') return false;
  const prefix = `${ID_PREFIXES[kind]}_`;
  return text.startsWith(prefix) && BODY.test(text.slice(prefix.length));
}
