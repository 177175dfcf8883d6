/**
 * One-time secrets: `bvl_` sign-in links, `bvt_` connection tokens. 256 random bits and a checksum, in lower-case
 * Crockford base 32: a double click takes all of it, no letter is mistaken for a digit, and a secret scanner can tell
 * a real one from look-alikes.
 *
 * Only a verifier is stored. 256 bits can't be searched, so that a plain SHA-256 is enough; the kind is part of what is
 * hashed, so that a link presented as something else matches nothing (attack E05).
 */
import { createHash } from 'node:crypto';
import type { Random } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';

export const ONE_TIME_PREFIXES = { sign_in_link: 'bvl', connection_token: 'bvt' } as const;
export type OneTimeKind = keyof typeof ONE_TIME_PREFIXES;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
/** For secret scanners, and for redacting logs: finds every one-time secret in a text. */
export const ONE_TIME_PATTERN = /\bbv[lt]_[0-9a-hjkmnp-tv-z]{58}\b/g;
const BODY = 52; // 260 bits hold 256
const CHECK = 6; // 30 bits

export function newOneTimeSecret(kind: OneTimeKind, random: Random): string {
  const head = `${ONE_TIME_PREFIXES[kind]}_${base32(random.bytes(32))}`;
  return head + checksum(head);
}

/** Whether the text is a well-formed secret of this kind. Says nothing about whether it was ever given out. */
export function isOneTimeSecret(kind: OneTimeKind, text: unknown): text is string {
  const prefix = `${ONE_TIME_PREFIXES[kind]}_`;
  if (typeof text !== 'string' || text.length !== prefix.length + BODY + CHECK || !text.startsWith(prefix)) return false;
  const head = text.slice(0, -CHECK);
  return checksum(head) === text.slice(-CHECK);
}

/**
 * What is stored, and what a presented secret is looked up by: 32 bytes.
 * @throws Refusal `unauthenticated` for what is not a secret of this kind; the message names the slip, never the secret
 */
export function verifierOf(kind: OneTimeKind, text: string): Uint8Array {
  if (!isOneTimeSecret(kind, text)) {
    const other = (Object.keys(ONE_TIME_PREFIXES) as OneTimeKind[]).find((each) => isOneTimeSecret(each, text));
    const hint = other ? `This is a ${other.replaceAll('_', ' ')}.` : 'Copy the whole of it, and nothing else.';
    throw new Refusal('unauthenticated', `that is not a ${kind.replaceAll('_', ' ')}`, { hint });
  }
  return createHash('sha256').update(`brevet one-time v1\0${kind}\0${text}`).digest();
}

function checksum(head: string): string {
  return base32(createHash('sha256').update(`brevet one-time checksum v1\0${head}`).digest().subarray(0, 4)).slice(0, CHECK);
}

/** Crockford base 32, lower-case; the last character carries the bits that are left. */
export function base32(bytes: Uint8Array): string {
  let [text, held, bits] = ['', 0, 0];
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31];
}
