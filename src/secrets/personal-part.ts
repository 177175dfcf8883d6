/**
 * The personal part of a log entry, encrypted under its subject's key. A part, version 1:
 *
 *     version 1 | salt 16 | commitment 32 | ciphertext of the padded JSON | tag 16
 *
 * HKDF-SHA-256 (RFC 5869) makes a fresh AES-256-GCM key and a commitment from the subject's key and the salt. The
 * log's tree holds these bytes for ever, so three things matter that encryption alone does not give:
 * - without the subject's key nothing can be guessed and tested: the salt is random and the key has 256 bits;
 * - AES-GCM would let whoever runs Brevet craft bytes that open to different texts under two keys; the commitment
 *   ties the bytes to one key, so that what the tree proves is one text;
 * - the length is rounded up, so that it does not tell a name.
 */
import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Random } from '#app/ports/runtime.ts';
import { SealBroken } from '#app/ports/secrets.ts';
import { canonicalJson } from '#domain/canonical-json.ts';
import type { JsonObject } from '#domain/json.ts';
import { KEY_BYTES } from './root-key.ts';

const VERSION = 1;
const SALT = 16;
const COMMITMENT = 32;
const TAG = 16;
const HEADER = 1 + SALT + COMMITMENT;
/** Lengths are rounded up to a multiple of this. */
export const PADDED_TO = 64;
/** Each key encrypts one text only, which is what makes a constant nonce right. */
const NONCE = Buffer.alloc(12);

export function sealPersonalPart(subjectKey: Uint8Array, personal: JsonObject, entry: string, random: Random): Uint8Array {
  const salt = random.bytes(SALT);
  const { key, commitment } = derive(subjectKey, salt);
  const cipher = createCipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG });
  cipher.setAAD(about(entry));
  const ciphertext = Buffer.concat([cipher.update(padded(personal)), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), salt, commitment, ciphertext, cipher.getAuthTag()]);
}

/** @throws SealBroken */
export function openPersonalPart(subjectKey: Uint8Array, sealed: Uint8Array, entry: string): JsonObject {
  const length = sealed.length - HEADER - TAG;
  if (length < PADDED_TO || length % PADDED_TO !== 0 || sealed[0] !== VERSION) throw new SealBroken('malformed', entry);
  const { key, commitment } = derive(subjectKey, sealed.subarray(1, 1 + SALT));
  if (!timingSafeEqual(commitment, sealed.subarray(1 + SALT, HEADER))) throw new SealBroken('not_authentic', entry);
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG });
  decipher.setAAD(about(entry));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const plaintext = decipher.update(sealed.subarray(HEADER, sealed.length - TAG));
  try {
    return JSON.parse(Buffer.concat([plaintext, decipher.final()]).toString('utf8')) as JsonObject;
  } catch {
    throw new SealBroken('not_authentic', entry);
  }
}

/** Padded with spaces, which JSON lets follow a value: no length field is needed to take them off again. */
function padded(personal: JsonObject): Uint8Array {
  const json = Buffer.from(canonicalJson(personal));
  const whole = Buffer.alloc(Math.ceil(json.length / PADDED_TO) * PADDED_TO, ' ');
  json.copy(whole);
  return whole;
}

function derive(subjectKey: Uint8Array, salt: Uint8Array): { key: Uint8Array; commitment: Uint8Array } {
  const bytes = Buffer.from(hkdfSync('sha256', subjectKey, salt, `brevet personal part v${VERSION}`, KEY_BYTES + COMMITMENT));
  return { key: bytes.subarray(0, KEY_BYTES), commitment: bytes.subarray(KEY_BYTES) };
}

function about(entry: string): Uint8Array {
  return Buffer.from(`brevet personal part v${VERSION}\0${entry}`);
}
