import { X509Certificate } from 'node:crypto';
import { isId, type GrantId, type PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';

/** What a client certificate of Brevet's authority says. Being in it is no right: the gate asks what it is worth now. */
export interface CertificateFacts {
  readonly principal: PrincipalId;
  /** The one grant it is for, or `null`. */
  readonly grant: GrantId | null;
  /** Hexadecimal, 32 digits. */
  readonly serial: string;
  /** SHA-256 of the DER, in hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

export const principalUri = (id: PrincipalId): string => `brevet:principal/${id}`;
export const grantUri = (id: GrantId): string => `brevet:grant/${id}`;

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
/** Node writes alternative names as one text; anything beside these two URIs, in this order, is not of our making. */
const NAMES = /^URI:brevet:principal\/([a-z0-9_]+)(?:, URI:brevet:grant\/([a-z0-9_]+))?$/;

/**
 * Reads a client certificate, after checking signature, time, purpose and form: it can be read in no other way, so that
 * nobody forgets. The TLS handshake has shown that the client holds the key.
 * @param der as from `tlsSocket.getPeerX509Certificate().raw`
 * @param authority the authority's certificate, PEM
 * @throws Refusal `unauthenticated`
 */
export function inspectClientCertificate(der: Uint8Array, authority: string, now: Date): CertificateFacts {
  const certificate = read(der);
  const issuer = new X509Certificate(authority);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) throw unauthenticated("it was not issued by this Brevet's authority");
  if (now.getTime() > certificate.validToDate.getTime()) throw unauthenticated(`it ended at ${certificate.validToDate.toISOString()}`);
  if (now.getTime() < certificate.validFromDate.getTime()) throw unauthenticated('it is not valid yet');
  const [, principal, grant] = NAMES.exec(certificate.subjectAltName ?? '') ?? [];
  const isClient = !certificate.ca && certificate.keyUsage?.length === 1 && certificate.keyUsage[0] === CLIENT_AUTH;
  const known = isId('person', principal) || isId('workload', principal);
  if (!isClient || !known || certificate.subject !== `CN=${principal}` || (grant !== undefined && !isId('grant', grant))) {
    throw unauthenticated('it is not a client certificate');
  }
  return {
    principal,
    grant: isId('grant', grant) ? grant : null,
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    notAfter: certificate.validToDate,
  };
}

function read(der: Uint8Array): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    // OpenSSL stops at the end of the certificate; bytes after it would change a fingerprint that nobody issued.
    if (certificate.raw.length === der.length) return certificate;
  } catch {
    // falls through: what can't be read is refused the same way
  }
  throw unauthenticated('it is damaged');
}

function unauthenticated(why: string): Refusal {
  return new Refusal('unauthenticated', `the client certificate is not accepted: ${why}`, { hint: 'Get a new one: brevet login.' });
}
