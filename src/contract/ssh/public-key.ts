/** OpenSSH public keys (RFC 4253, 5656, 8709, PROTOCOL.u2f) and Node's, each from the other. */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { Malformed, positive, string, WireReader } from './wire.ts';

export interface SshPublicKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, `sk-ssh-ed25519@openssh.com` ... */
  readonly type: string;
  readonly key: KeyObject;
  /** What a FIDO key on a token signs for, `ssh:` as a rule; `null` for any other key. */
  readonly application: string | null;
}

interface Curve {
  /** In SSH's words. */
  readonly name: string;
  /** In JWK's words. */
  readonly crv: string;
  /** Bytes of a coordinate. */
  readonly size: number;
}

const CURVES: Readonly<Record<string, Curve>> = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', crv: 'P-256', size: 32 },
  'ecdsa-sha2-nistp384': { name: 'nistp384', crv: 'P-384', size: 48 },
  'ecdsa-sha2-nistp521': { name: 'nistp521', crv: 'P-521', size: 66 },
};

/** Bits of an RSA modulus: as for X.509 certificates; verifying with a longer one takes an attacker nothing and us much. */
const SHORTEST_RSA = 3072;
const LONGEST_RSA = 8192;

export function curveOf(type: string): Curve | undefined {
  return Object.hasOwn(CURVES, type) ? CURVES[type] : undefined;
}

/** @throws Malformed for anything but one whole key of a type and strength that is accepted */
export function readPublicKey(blob: Uint8Array): SshPublicKey {
  const reader = new WireReader(blob);
  const key = readKeyFields(reader.text(), reader);
  reader.end();
  return key;
}

/** What stands in a key, or in a certificate, behind its type. @throws Malformed */
export function readKeyFields(type: string, reader: WireReader): SshPublicKey {
  const [, hardware, plain = type] = /^(sk)-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com$/.exec(type) ?? [];
  const jwk = readJwk(plain, reader);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw new Malformed('a public key is none: OpenSSL refuses it');
  }
  return { type, key, application: hardware === undefined ? null : reader.text() };
}

function readJwk(type: string, reader: WireReader): JsonWebKey {
  const curve = curveOf(type);
  if (curve !== undefined) return readPoint(curve, reader);
  if (type === 'ssh-ed25519') {
    const x = reader.bytes();
    if (x.length !== 32) throw new Malformed('an Ed25519 key has not 32 bytes');
    return { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') };
  }
  if (type === 'ssh-rsa') {
    const [e, n] = [reader.positive(), reader.positive()];
    const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
    if (bits < SHORTEST_RSA || bits > LONGEST_RSA) throw new Malformed(`an RSA key has ${bits} bits, not ${SHORTEST_RSA} to ${LONGEST_RSA}`);
    // 65537 is what everybody makes. Three and other small ones have broken verifiers before; large ones make them slow.
    if (e.length > 4 || e.readUIntBE(0, e.length) < 65_537) throw new Malformed('an RSA key has an unusual exponent');
    return { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') };
  }
  throw new Malformed(`keys of type ${type.slice(0, 60)} are not accepted`);
}

function readPoint({ name, crv, size }: Curve, reader: WireReader): JsonWebKey {
  if (reader.text() !== name) throw new Malformed('a key is of another curve than its type');
  const point = reader.bytes();
  if (point.length !== 1 + 2 * size || point[0] !== 4) throw new Malformed('a point is not in uncompressed form');
  return { kty: 'EC', crv, x: point.subarray(1, 1 + size).toString('base64url'), y: point.subarray(1 + size).toString('base64url') };
}

/**
 * A key of Node's as an OpenSSH public key.
 * @throws RangeError for a key that OpenSSH has no type for
 */
export function encodePublicKey(key: KeyObject): Buffer {
  const jwk = key.export({ format: 'jwk' });
  const field = (name: 'x' | 'y' | 'e' | 'n') => Buffer.from(jwk[name] ?? '', 'base64url');
  if (jwk.crv === 'Ed25519') return Buffer.concat([string('ssh-ed25519'), string(field('x'))]);
  if (jwk.kty === 'RSA') return Buffer.concat([string('ssh-rsa'), positive(field('e')), positive(field('n'))]);
  for (const [type, { name, crv }] of Object.entries(CURVES)) {
    if (jwk.crv === crv) return Buffer.concat([string(type), string(name), string(Uint8Array.of(4), field('x'), field('y'))]);
  }
  throw new RangeError(`OpenSSH has no type for ${jwk.crv ?? jwk.kty ?? 'such'} keys`);
}

/** As `ssh-keygen -l` shows it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replaceAll('=', '')}`;
}
