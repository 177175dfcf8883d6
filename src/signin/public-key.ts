import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { Refusal } from '#domain/refusal.ts';

/** A public key that somebody hands in, in the one form it is stored and compared in. */
export interface PublicKey {
  /** SPKI, PEM, as Node writes it. */
  readonly pem: string;
  /** SHA-256 of the SPKI's DER, in hex: what people compare by eye. */
  readonly fingerprint: string;
  readonly key: KeyObject;
}

/** A key to sign requests with: Ed25519 only. @throws Refusal `invalid_input`, field `/publicKey` */
export function readSigningKey(pem: string): PublicKey {
  const key = read(pem);
  if (key.key.asymmetricKeyType !== 'ed25519') throw wrong('requests are signed with Ed25519 keys', 'ssh-keygen does not write the right form: let brevet login make the key.');
  return key;
}

/** A key to put into a client certificate: P-256, Ed25519, or RSA of at least 3,072 bits. @throws Refusal `invalid_input` */
export function readCertificateKey(pem: string): PublicKey {
  const found = read(pem);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = found.key;
  const fine =
    type === 'ed25519' ||
    (type === 'ec' && details?.namedCurve === 'prime256v1') ||
    (type === 'rsa' && (details?.modulusLength ?? 0) >= 3072 && (details?.modulusLength ?? 0) <= 8192 && (details?.publicExponent ?? 0n) >= 65_537n);
  if (!fine) throw wrong('the key must be P-256, Ed25519, or RSA of 3,072 to 8,192 bits', 'Make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256');
  return found;
}

function read(pem: string): PublicKey {
  // Exactly one block: a private key or a certificate in its place is refused rather than quietly converted.
  if (!/^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]{1,4000}-----END PUBLIC KEY-----\s*$/.test(pem)) throw wrong('this is not a public key in PEM (SPKI)');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: 'pem', type: 'spki' });
  } catch {
    throw wrong('this public key is damaged');
  }
  const der = key.export({ format: 'der', type: 'spki' });
  if (key.asymmetricKeyType === 'ed25519' && isSmallOrder(der.subarray(-32))) throw wrong('this public key verifies signatures that nobody made');
  return { pem: key.export({ format: 'pem', type: 'spki' }).toString(), fingerprint: createHash('sha256').update(der).digest('hex'), key };
}

/**
 * The y coordinates (little-endian, sign bit cleared) of the points of small order on edwards25519, and the two
 * encodings of the same that are not reduced. With such a key anybody can make signatures that verify; Node refuses them,
 * but openssl does not, and whoever checks the evidence with it could be told that somebody else had signed.
 */
const SMALL_ORDER = new Set([
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

function isSmallOrder(encoded: Uint8Array): boolean {
  const y = Buffer.from(encoded);
  y[31] = (y[31] ?? 0) & 0x7f;
  return SMALL_ORDER.has(y.toString('hex'));
}

function wrong(message: string, hint?: string): Refusal {
  return new Refusal('invalid_input', message, { field: '/publicKey', ...(hint === undefined ? {} : { hint }) });
}
