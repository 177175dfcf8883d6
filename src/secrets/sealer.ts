/**
 * Envelope encryption with AES-256-GCM (NIST SP 800-38D). Every value has a data key of its own, wrapped under a root
 * key; a rotation rewrites the wrap and leaves the payload alone. A sealed value, version 1:
 *
 *     version 1 | root key id 8 | wrap nonce 12 | wrapped data key 32 | wrap tag 16 | nonce 12 | ciphertext | tag 16
 *
 * Random 96-bit nonces allow 2^32 wraps under one root key: far beyond what targets, persons and keys need, but the
 * reason why session recordings and log entries are encrypted under data keys and not through here one by one.
 */
import { createCipheriv, createDecipheriv, type CipherKey } from 'node:crypto';
import type { Random } from '#app/ports/runtime.ts';
import { subjectIdentity } from '#app/ports/sealed-identity.ts';
import { SealBroken, type Secrets, type SecretIdentity } from '#app/ports/secrets.ts';
import type { PrincipalId } from '#domain/id.ts';
import { openPersonalPart, sealPersonalPart } from './personal-part.ts';
import { KEY_BYTES, KEY_ID_BYTES, type KeyRing } from './root-key.ts';

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const WRAP = 1 + KEY_ID_BYTES;
const BODY = WRAP + NONCE + KEY_BYTES + TAG;
const SHORTEST = BODY + NONCE + TAG;

export function makeSecrets(ring: KeyRing, random: Random): Secrets {
  const seal: Secrets['seal'] = (plaintext, identity) => {
    const dataKey = random.bytes(KEY_BYTES);
    const body = encrypt(dataKey, random.bytes(NONCE), Buffer.from(plaintext as string), about('body', identity));
    return Buffer.concat([wrap(ring, random, dataKey, identity), body]);
  };
  const open: Secrets['open'] = (sealed, identity) =>
    decrypt(unwrap(ring, sealed, identity), sealed.subarray(BODY), about('body', identity), identity);
  const openSubjectKey = (subject: string, wrapped: Uint8Array) => open(wrapped, subjectIdentity(subject as PrincipalId));

  return {
    seal,
    open,
    openText: (sealed, identity) => Buffer.from(open(sealed, identity)).toString('utf8'),
    needsRewrap: (sealed, identity) => keyIdOf(sealed, identity) !== ring.newest.id,
    rewrap: (sealed, identity) => {
      const dataKey = unwrap(ring, sealed, identity);
      decrypt(dataKey, sealed.subarray(BODY), about('body', identity), identity); // a broken payload is not passed on as good
      return Buffer.concat([wrap(ring, random, dataKey, identity), sealed.subarray(BODY)]);
    },
    newSubjectKey: (subject) => seal(random.bytes(KEY_BYTES), subjectIdentity(subject as PrincipalId)),
    sealPersonal: (subject, key, personal, entry) => sealPersonalPart(openSubjectKey(subject, key), personal, entry, random),
    openPersonal: (subject, key, sealed, entry) => openPersonalPart(openSubjectKey(subject, key), sealed, entry),
  };
}

function wrap(ring: KeyRing, random: Random, dataKey: Uint8Array, identity: SecretIdentity): Uint8Array {
  const { id, key } = ring.newest;
  const wrapped = encrypt(key, random.bytes(NONCE), dataKey, about(`key ${id}`, identity));
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(id, 'hex'), wrapped]);
}

function unwrap(ring: KeyRing, sealed: Uint8Array, identity: SecretIdentity): Uint8Array {
  const root = ring.find(keyIdOf(sealed, identity));
  if (!root) throw new SealBroken('unknown_key', identity);
  return decrypt(root.key, sealed.subarray(WRAP, BODY), about(`key ${root.id}`, identity), identity);
}

function keyIdOf(sealed: Uint8Array, identity: SecretIdentity): string {
  if (sealed.length < SHORTEST || sealed[0] !== VERSION) throw new SealBroken('malformed', identity);
  return Buffer.from(sealed.subarray(1, WRAP)).toString('hex');
}

/** The associated data: what kind of ciphertext this is, and whose. NUL parts the two, and no identity holds one. */
function about(purpose: string, identity: SecretIdentity): Uint8Array {
  if (!/^[\x21-\x7e]{1,256}$/.test(identity)) throw new RangeError('an identity is 1 to 256 printable ASCII characters');
  return Buffer.from(`brevet sealed v${VERSION}\0${purpose}\0${identity}`);
}

function encrypt(key: CipherKey, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG });
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: CipherKey, box: Uint8Array, aad: Uint8Array, identity: SecretIdentity): Uint8Array {
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(aad);
  decipher.setAuthTag(box.subarray(box.length - TAG));
  const plaintext = decipher.update(box.subarray(NONCE, box.length - TAG));
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    throw new SealBroken('not_authentic', identity);
  }
}
