/** Writes X.509 certificates (RFC 5280) in one profile: signed with ECDSA P-256 and SHA-256, a common name, fixed extensions. */
import { createECDH, createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { Random } from '#app/ports/runtime.ts';
import * as der from './der.ts';

/** What the subject's key may be used for. */
export type CertificateUse = 'authority' | 'server' | 'client';

export interface CertificateContent {
  readonly use: CertificateUse;
  /** Common names. */
  readonly issuer: string;
  readonly subject: string;
  readonly names: readonly AlternativeName[];
  /** SPKI, DER. */
  readonly publicKey: Uint8Array;
  /** Whole seconds count; what is below is cut off. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** 16 random bytes, of which 126 bits are used. */
  readonly serial: Uint8Array;
}

export type AlternativeName = { readonly dns: string } | { readonly ip: string } | { readonly uri: string };

const ECDSA_SHA256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));

/** A certificate as PEM, signed by the issuer's P-256 key. */
export function signCertificate(content: CertificateContent, issuerKey: KeyObject): string {
  const issuerSpki = createPublicKey(issuerKey).export({ format: 'der', type: 'spki' });
  const serial = Buffer.from(content.serial);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 bytes long
  const signed = der.sequence(
    der.explicit(0, der.integer(Uint8Array.of(2))), // version 3
    der.integer(serial),
    ECDSA_SHA256,
    commonName(content.issuer),
    der.sequence(der.time(content.notBefore), der.time(content.notAfter)),
    commonName(content.subject),
    content.publicKey,
    der.explicit(3, der.sequence(...extensions(content, issuerSpki))),
  );
  const signature = sign('sha256', signed, { key: issuerKey, dsaEncoding: 'der' });
  return toPem(der.sequence(signed, ECDSA_SHA256, der.bits(signature)));
}

function extensions({ use, names, publicKey }: CertificateContent, issuerSpki: Uint8Array): Uint8Array[] {
  const extension = (id: string, critical: boolean, value: Uint8Array) =>
    der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));
  const authority = use === 'authority';
  const list = [
    // pathLenConstraint 0: what the authority signs can't be an authority
    extension('2.5.29.19', true, authority ? der.sequence(der.boolean(true), der.integer(Uint8Array.of(0))) : der.sequence()),
    // keyCertSign and cRLSign, or digitalSignature
    extension('2.5.29.15', true, authority ? der.bits(Uint8Array.of(0b00000110), 1) : der.bits(Uint8Array.of(0b10000000), 7)),
    extension('2.5.29.14', false, der.octets(keyIdentifier(publicKey))),
  ];
  if (!authority) {
    list.push(extension('2.5.29.35', false, der.sequence(der.implicit(0, keyIdentifier(issuerSpki)))));
    list.push(extension('2.5.29.37', false, der.sequence(der.oid(use === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2'))));
    list.push(extension('2.5.29.17', false, der.sequence(...names.map(alternativeName))));
  }
  return list;
}

/** RFC 7093 section 2, method 4, cut to 160 bits: the identifier hangs on the whole key with its type. */
function keyIdentifier(spki: Uint8Array): Uint8Array {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}

function commonName(text: string): Uint8Array {
  return der.sequence(der.set(der.sequence(der.oid('2.5.4.3'), der.utf8(text))));
}

function alternativeName(name: AlternativeName): Uint8Array {
  if ('dns' in name) return der.implicit(2, Buffer.from(name.dns, 'ascii'));
  if ('uri' in name) return der.implicit(6, Buffer.from(name.uri, 'ascii'));
  return der.implicit(7, addressBytes(name.ip));
}

/** The 4 or 16 bytes of an IP address. */
function addressBytes(ip: string): Uint8Array {
  if (isIP(ip) === 4) return Uint8Array.from(ip.split('.').map(Number));
  // The URL parser writes any IPv6 spelling, with a dotted tail or not, as groups of hexadecimal digits.
  const [head = '', tail] = new URL(`http://[${ip}]/`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

export function toPem(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** A P-256 private key out of handed-in random bytes, by rejection (FIPS 186-5, A.2.2). */
export function newP256Key(random: Random): KeyObject {
  for (;;) {
    const scalar = Buffer.from(random.bytes(32));
    const ecdh = createECDH('prime256v1');
    try {
      ecdh.setPrivateKey(scalar);
    } catch {
      continue; // zero, or not below the group's order: one in 2^32
    }
    const point = ecdh.getPublicKey();
    const [x, y, d] = [point.subarray(1, 33), point.subarray(33), scalar].map((bytes) => bytes.toString('base64url')) as [string, string, string];
    return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
  }
}
