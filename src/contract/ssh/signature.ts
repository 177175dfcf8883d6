/** Signatures in SSH's wrapping (RFC 4253 section 6.6, RFC 8332, PROTOCOL.u2f), with modern algorithms only. */
import { createHash, verify } from 'node:crypto';
import { curveOf, type SshPublicKey } from './public-key.ts';
import { Malformed, WireReader } from './wire.ts';

const HASHES: Readonly<Record<string, string>> = {
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

/** What a token attests beside the signature. */
export interface Attested {
  /** Somebody touched the token. */
  readonly present: boolean;
  /** The token knew who, by a PIN or a finger. */
  readonly verified: boolean;
}

/** How a key of this type may sign. SHA-1 (`ssh-rsa`) and DSA are not among it. */
export function algorithmsOf(type: string): readonly string[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type];
}

/**
 * Whether the key signed the data, by one of these algorithms; for a FIDO key what its token attests, for any other `null`
 * in its place. `wrapped` is the algorithm's name and the signature, both as strings; nothing may follow.
 * @throws Malformed
 */
export function checkSignature(
  signer: SshPublicKey, data: Uint8Array, wrapped: Uint8Array, algorithms = algorithmsOf(signer.type),
): { readonly good: boolean; readonly attested: Attested | null } {
  const reader = new WireReader(wrapped);
  const algorithm = reader.text();
  if (!algorithms.includes(algorithm)) throw new Malformed(`a key of type ${signer.type} may not sign by ${algorithm.slice(0, 60)} here`);
  const signature = reader.bytes();
  if (signer.application === null) {
    reader.end();
    return { good: isGood(signer, algorithm, data, signature), attested: null };
  }
  const [flags, counter] = [reader.byte(), reader.uint32()];
  reader.end();
  // What the token signed: the application, its own flags and counter, and the data, as hashes of fixed size.
  const signed = Buffer.concat([sha256(signer.application), Buffer.alloc(5), sha256(data)]);
  signed.writeUInt8(flags, 32);
  signed.writeUInt32BE(counter, 33);
  const plain = algorithm.slice('sk-'.length).replace('@openssh.com', '');
  return { good: isGood(signer, plain, signed, signature), attested: { present: (flags & 1) !== 0, verified: (flags & 4) !== 0 } };
}

function isGood({ key }: SshPublicKey, algorithm: string, data: Uint8Array, signature: Buffer): boolean {
  const curve = curveOf(algorithm);
  const hash = HASHES[algorithm] ?? null;
  if (curve !== undefined) {
    const reader = new WireReader(signature);
    const [r, s] = [reader.positive(), reader.positive()];
    reader.end();
    if (r.length > curve.size || s.length > curve.size) return false;
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([padded(r, curve.size), padded(s, curve.size)]));
  }
  if (hash === null) return key.asymmetricKeyType === 'ed25519' && verify(null, data, key, signature);
  // Some programs leave leading zeros of an RSA signature away.
  const size = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  return signature.length <= size && verify(hash, data, key, padded(signature, size));
}

function padded(bytes: Uint8Array, size: number): Buffer {
  return Buffer.concat([Buffer.alloc(size - bytes.length), bytes]);
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}
