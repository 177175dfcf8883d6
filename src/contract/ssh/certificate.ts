/**
 * OpenSSH certificates as they are on the wire (PROTOCOL.certkeys), read without judging them: no clock, no trust.
 * What is unusual is refused already: doubles, another order than the written one, bytes left over, texts that are none.
 */
import { curveOf, readKeyFields, readPublicKey, type SshPublicKey } from './public-key.ts';
import { Malformed, string, WireReader } from './wire.ts';

/** The end of a certificate's type: `ssh-ed25519-cert-v01@openssh.com` certifies an `ssh-ed25519` key. */
export const CERTIFICATE_SUFFIX = '-cert-v01@openssh.com';
/** Seconds: the end of a certificate without one. */
export const FOREVER = 2n ** 64n - 1n;
/** What OpenSSH stops at too. */
const MOST_PRINCIPALS = 256;
const MOST_OPTIONS = 64;

export interface Certificate {
  readonly kind: 'user' | 'host';
  /** The key that is certified. */
  readonly key: SshPublicKey;
  /** The same as an OpenSSH public key: what its fingerprint is made of. */
  readonly keyBlob: Uint8Array;
  readonly serial: bigint;
  /** Whatever the authority wrote; ours writes who it is for. */
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since 1970: valid from the first, until before the second. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: ReadonlyMap<string, Uint8Array>;
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /** The authority's key as an OpenSSH public key. */
  readonly authority: Uint8Array;
  /** What the authority signed, and its signature in SSH's wrapping. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** The type of the key that a certificate of this type certifies, or `null` if it is no certificate's type. */
export function certifiedType(type: string): string | null {
  if (!type.endsWith(CERTIFICATE_SUFFIX)) return null;
  const plain = type.slice(0, -CERTIFICATE_SUFFIX.length);
  if (plain === 'sk-ssh-ed25519' || plain === 'sk-ecdsa-sha2-nistp256') return `${plain}@openssh.com`;
  return plain === 'ssh-ed25519' || plain === 'ssh-rsa' || curveOf(plain) !== undefined ? plain : null;
}

/** @throws Malformed */
export function readCertificate(blob: Uint8Array): Certificate {
  const reader = new WireReader(blob);
  const type = reader.text();
  const keyType = certifiedType(type);
  if (keyType === null) throw new Malformed(`${type.slice(0, 60)} is not a type of certificate that is accepted`);
  reader.bytes(); // the nonce, there so that nobody but the authority knows what it signs
  const keyStart = reader.position;
  const key = readKeyFields(keyType, reader);
  const keyBlob = Buffer.concat([string(keyType), blob.subarray(keyStart, reader.position)]);
  const serial = reader.uint64();
  const kind = readKind(reader.uint32());
  const keyId = reader.text();
  const principals = readPrincipals(reader.bytes());
  const [validAfter, validBefore] = [reader.uint64(), reader.uint64()];
  const [criticalOptions, extensions] = [readOptions(reader.bytes()), readOptions(reader.bytes())];
  if (reader.bytes().length > 0) throw new Malformed('the reserved field is not empty');
  const authority = reader.bytes();
  readPublicKey(authority); // a plain key: an authority that is a certificate itself would be a chain
  const signed = blob.subarray(0, reader.position);
  const signature = reader.bytes();
  reader.end();
  return { kind, key, keyBlob, serial, keyId, principals, validAfter, validBefore, criticalOptions, extensions, authority, signed, signature };
}

function readKind(number: number): 'user' | 'host' {
  if (number === 1) return 'user';
  if (number === 2) return 'host';
  throw new Malformed('it is neither for a user nor for a host');
}

function readPrincipals(bytes: Uint8Array): readonly string[] {
  const reader = new WireReader(bytes);
  const principals: string[] = [];
  while (!reader.atEnd) {
    const principal = reader.text();
    if (principal === '') throw new Malformed('a principal is empty');
    if (principals.push(principal) > MOST_PRINCIPALS) throw new Malformed(`it has more than ${MOST_PRINCIPALS} principals`);
  }
  return principals;
}

/** Names with data, in lexical order, each once. */
function readOptions(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const reader = new WireReader(bytes);
  const options = new Map<string, Uint8Array>();
  let last = '';
  while (!reader.atEnd) {
    const name = reader.text();
    if (name <= last) throw new Malformed('options are repeated, nameless or not in order');
    last = name;
    options.set(name, reader.bytes());
    if (options.size > MOST_OPTIONS) throw new Malformed(`it has more than ${MOST_OPTIONS} options`);
  }
  return options;
}
