/**
 * Brevet's own X.509 authority: it signs the brokers' server certificates and short-lived client certificates for
 * principals. P-256 throughout, because every TLS client in use takes it. Only DER is written here (x509.ts); whatever
 * is read is read by OpenSSL.
 */
import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { Random } from '#app/ports/runtime.ts';
import type { Seconds } from '#domain/duration.ts';
import type { GrantId, PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { grantUri, principalUri } from './client-certificate.ts';
import { readCertificateKey } from './public-key.ts';
import { newP256Key, signCertificate } from './x509.ts';

/** Both PEM; the key is PKCS#8 and is kept sealed. */
export interface KeyAndCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface ServerCertificate extends KeyAndCertificate {
  readonly notAfter: Date;
  /** From then on make a new one: two thirds of its life are over. */
  readonly renewAt: Date;
}

export interface ClientCertificate {
  /** PEM. The private key was never here. */
  readonly certificate: string;
  /** Hexadecimal, 32 digits. */
  readonly serial: string;
  /** SHA-256 of the DER, in hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

export interface ClientCertificateAsk {
  readonly principal: PrincipalId;
  /** Binds the certificate to one grant; `null` for any of the principal's. */
  readonly grant: GrantId | null;
  /** SPKI, PEM. */
  readonly publicKey: string;
  /** At most LONGEST_CLIENT_CERTIFICATE is given. */
  readonly seconds: Seconds;
  readonly now: Date;
}

export interface CertificateAuthority {
  /** PEM: what brokers and clients trust. */
  readonly certificate: string;
  /** A fresh key and certificate for DNS names and IP addresses, for 90 days unless told. @throws Refusal `invalid_configuration` */
  issueServer(names: readonly string[], now: Date, seconds?: Seconds): ServerCertificate;
  /** @throws Refusal `invalid_input` for an unsuitable key, `unavailable` when the authority itself has run out */
  issueClient(ask: ClientCertificateAsk): ClientCertificate;
}

export const LONGEST_CLIENT_CERTIFICATE: Seconds = 12 * 3600;
const DAY = 86_400_000;
const AUTHORITY_LIFE = 3653 * DAY;
const SERVER_LIFE = 90 * DAY;
/** For clients whose clock is a little slow. */
const BACKDATED = 60_000;

/** A new authority, good for ten years. */
export function makeAuthority(now: Date, random: Random): KeyAndCertificate {
  const key = newP256Key(random);
  // A part of the name is random: with two of them in one trust store it is plain which is meant.
  const name = `Brevet authority ${Buffer.from(random.bytes(4)).toString('hex')}`;
  const certificate = signCertificate(
    {
      use: 'authority', issuer: name, subject: name, names: [], publicKey: spkiOf(key), serial: random.bytes(16),
      notBefore: new Date(now.getTime() - BACKDATED), notAfter: new Date(now.getTime() + AUTHORITY_LIFE),
    },
    key,
  );
  return { certificate, privateKey: pkcs8(key) };
}

/** @throws Refusal `invalid_configuration` when key and certificate do not belong together */
export function openAuthority(kept: KeyAndCertificate, random: Random): CertificateAuthority {
  const own = new X509Certificate(kept.certificate);
  const key = createPrivateKey(kept.privateKey);
  const name = /^CN=([ -~]+)$/.exec(own.subject)?.[1];
  if (!own.ca || name === undefined || !own.checkPrivateKey(key)) {
    throw new Refusal('invalid_configuration', "the authority's certificate and key do not belong together");
  }
  const end = own.validToDate.getTime();
  const until = (now: Date, ms: number) => {
    const notAfter = new Date(Math.min(now.getTime() + ms, end));
    if (notAfter.getTime() <= now.getTime()) {
      throw new Refusal('unavailable', "Brevet's certificate authority has run out", { hint: 'Delete the row "authority" of brevet.own_keys and start Brevet again: it makes a new one, which clients must then trust.' });
    }
    return notAfter;
  };
  const issue = { issuer: name, authorityKey: key, random };
  return {
    certificate: kept.certificate,
    issueServer: (names, now, seconds) => issueServer(issue, names, now, until(now, seconds === undefined ? SERVER_LIFE : seconds * 1000)),
    issueClient: (ask) => issueClient(issue, ask, until(ask.now, Math.min(ask.seconds, LONGEST_CLIENT_CERTIFICATE) * 1000)),
  };
}

interface Issuer {
  readonly issuer: string;
  readonly authorityKey: KeyObject;
  readonly random: Random;
}

function issueServer({ issuer, authorityKey, random }: Issuer, names: readonly string[], now: Date, notAfter: Date): ServerCertificate {
  const alternatives = names.map((name) => {
    if (isIP(name) !== 0 && !name.includes('%')) return { ip: name };
    if (name.length <= 253 && /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return { dns: name };
    throw new Refusal('invalid_configuration', `"${name.slice(0, 80)}" is not a host name in lower-case letters, nor an IP address`);
  });
  if (names[0] === undefined) throw new Refusal('invalid_configuration', 'a server certificate needs a name');
  const key = newP256Key(random);
  const notBefore = new Date(now.getTime() - BACKDATED);
  const certificate = signCertificate(
    // The longest name that fits into a common name; clients look at the alternative names only.
    { use: 'server', issuer, subject: names[0].slice(0, 64), names: alternatives, publicKey: spkiOf(key), notBefore, notAfter, serial: random.bytes(16) },
    authorityKey,
  );
  const renewAt = new Date(now.getTime() + ((notAfter.getTime() - now.getTime()) * 2) / 3);
  return { certificate, privateKey: pkcs8(key), notAfter: new X509Certificate(certificate).validToDate, renewAt };
}

function issueClient({ issuer, authorityKey, random }: Issuer, ask: ClientCertificateAsk, notAfter: Date): ClientCertificate {
  const { key } = readCertificateKey(ask.publicKey);
  const uris = [principalUri(ask.principal), ...(ask.grant === null ? [] : [grantUri(ask.grant)])];
  const certificate = signCertificate(
    {
      use: 'client', issuer, subject: ask.principal, names: uris.map((uri) => ({ uri })),
      publicKey: key.export({ format: 'der', type: 'spki' }), serial: random.bytes(16),
      notBefore: new Date(ask.now.getTime() - BACKDATED), notAfter,
    },
    authorityKey,
  );
  const made = new X509Certificate(certificate);
  return {
    certificate,
    serial: made.serialNumber.toLowerCase(),
    fingerprint: made.fingerprint256.replaceAll(':', '').toLowerCase(),
    notAfter: made.validToDate,
  };
}

function spkiOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

function pkcs8(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}
