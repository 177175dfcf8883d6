/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) with `tls-server-end-point` (RFC 5929): what both sides
 * of the exchange compute. Byte strings travel in base64.
 */
import { createHash, createHmac, type X509Certificate } from 'node:crypto';
import { ProtocolError } from './messages.ts';

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';
export const CHANNEL_BINDING = 'tls-server-end-point';
/** Enough for any honest message of the exchange. */
export const MAX_SASL = 2048;

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function xor(left: Uint8Array, right: Uint8Array): Buffer {
  return Buffer.from(left.map((byte, at) => byte ^ (right[at] as number)));
}

/** Reads `r=...,s=...,i=...` in exactly this order, nothing more: an `m=` extension must be refused (RFC 5802, 5.1). */
export function attributes(text: string, letters: string): string[] {
  const parts = text.split(',');
  if (parts.length < letters.length) throw new ProtocolError('a malformed SCRAM message');
  return [...letters].map((letter, at) => {
    const part = parts[at] as string;
    if (!part.startsWith(`${letter}=`)) throw new ProtocolError('a malformed SCRAM message');
    return part.slice(2);
  });
}

/** Strict base64 of a bounded length. */
export function fromBase64(text: string): Buffer {
  if (text.length > 1024 || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    throw new ProtocolError('a malformed SCRAM message');
  }
  return Buffer.from(text, 'base64');
}

/** A nonce is printable ASCII without a comma (RFC 5802, 7). */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]{1,256}$/.test(text);
}

/**
 * The `tls-server-end-point` binding of a certificate: its hash by the hash of its own signature, where MD5 and SHA-1
 * count as SHA-256. `null` for signatures without such a hash (Ed25519): then there is no channel binding.
 */
export function endPointHash(certificate: X509Certificate): Buffer | null {
  const algorithm = certificate.signatureAlgorithm?.toLowerCase() ?? '';
  const match = /(?:with|-|^)(sha-?(?:1|224|256|384|512)|md5)|(sha(?:1|224|256|384|512)|md5)with/.exec(algorithm);
  const name = (match?.[1] ?? match?.[2])?.replace('-', '');
  if (!name) return null;
  const hash = name === 'md5' || name === 'sha1' ? 'sha256' : name;
  return createHash(hash).update(certificate.raw).digest();
}

/** SASLprep (RFC 4013) as far as PostgreSQL needs it: ASCII stays, the rest is mapped and normalised. */
export function prepared(password: string): string {
  return password
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ')
    .normalize('NFKC');
}
