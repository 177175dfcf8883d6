/**
 * Whether an OpenSSH certificate lets a user in, or shows a host to be what it says (PROTOCOL.certkeys). ssh2 hands
 * certificates on unverified: this is all that stands between a forged one and a session.
 */
import { certifiedType, readCertificate, type Certificate } from './certificate.ts';
import { readPublicKey } from './public-key.ts';
import { readRestrictions, UnknownOption, type Restrictions } from './restrictions.ts';
import { algorithmsOf, checkSignature } from './signature.ts';
import { Malformed } from './wire.ts';

/** Why a certificate is refused. The list is closed; the order is that of the checks. */
export const CERTIFICATE_FAULTS = [
  'malformed', // it can't be read, or is of a type, algorithm or key strength that is not accepted
  'unknown_authority', // no authority that is trusted has signed it, by what it says
  'bad_signature', // that authority did not sign this
  'wrong_kind', // for a host in place of a user, or the other way round
  'not_yet_valid',
  'expired',
  'no_principals', // it would be for everybody
  'wrong_principal', // for somebody, or some host, else
  'unknown_option', // a critical option that Brevet does not know
] as const;

export type CertificateFault = (typeof CERTIFICATE_FAULTS)[number];

/** `why` is for logs: it may hold what a stranger wrote, free of control characters. */
export interface CertificateRefused {
  readonly fault: CertificateFault;
  readonly why: string;
}

export interface CertificateExpectation {
  /** Public keys of the authorities that count, as blobs. */
  readonly authorities: readonly Uint8Array[];
  readonly now: Date;
}

export interface UserCertificate extends Certificate {
  /** Whoever lets the user in holds to them. */
  readonly restrictions: Restrictions;
}

/**
 * A user certificate that is good for this principal, now. Whoever shows it has not proven yet that it is theirs:
 * `provesPossession`.
 */
export function verifyUserCertificate(blob: Uint8Array, expected: CertificateExpectation & { readonly principal: string }): { readonly accepted: UserCertificate } | CertificateRefused {
  return judge(() => {
    const certificate = verified(blob, 'user', expected.principal, expected);
    return { ...certificate, restrictions: readRestrictions(certificate.criticalOptions) };
  });
}

/** A host certificate that is good for this name, now. The key exchange has shown, or will, that the host has its key. */
export function verifyHostCertificate(blob: Uint8Array, expected: CertificateExpectation & { readonly host: string }): { readonly accepted: Certificate } | CertificateRefused {
  return judge(() => {
    const certificate = verified(blob, 'host', expected.host, expected);
    for (const name of certificate.criticalOptions.keys()) throw new UnknownOption(`hosts have no critical options, not ${name.slice(0, 60)}`);
    return certificate;
  });
}

export interface PossessionProof {
  /** The algorithm that the client names beside the certificate: `ctx.key.algo` of ssh2. */
  readonly algorithm: string;
  /** What it signed: session id and request (RFC 4252, section 7), `ctx.blob` of ssh2. */
  readonly signed: Uint8Array;
  /** With its wrapping: `ctx.signature` of ssh2, which takes it off for plain keys and leaves it for certificates. */
  readonly signature: Uint8Array;
}

/** Whether who shows a certificate has its key: signed this session with it, by the algorithm that was named, which counts. */
export function provesPossession({ key, restrictions, extensions }: UserCertificate, proof: PossessionProof): boolean {
  const algorithm = signatureAlgorithm(proof.algorithm);
  if (algorithm === null || !algorithmsOf(key.type).includes(algorithm)) return false;
  try {
    const { good, attested } = checkSignature(key, proof.signed, proof.signature, [algorithm]);
    if (attested === null) return good && !restrictions.verifyRequired;
    return good && (attested.present || extensions.has('no-touch-required')) && (attested.verified || !restrictions.verifyRequired);
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}

/** How who names this algorithm signs. An RSA certificate is shown with the hash: `rsa-sha2-512-cert-v01@openssh.com`. */
function signatureAlgorithm(named: string): string | null {
  return /^(rsa-sha2-(?:256|512))-cert-v01@openssh\.com$/.exec(named)?.[1] ?? certifiedType(named);
}

function verified(blob: Uint8Array, kind: Certificate['kind'], principal: string, { authorities, now }: CertificateExpectation): Certificate {
  const certificate = readCertificate(blob);
  if (!authorities.some((one) => Buffer.compare(one, certificate.authority) === 0)) throw new Fault('unknown_authority', 'no authority that is trusted has signed it');
  const authority = readPublicKey(certificate.authority);
  if (authority.application !== null) throw new Malformed('an authority on a token is not accepted');
  if (!checkSignature(authority, certificate.signed, certificate.signature).good) throw new Fault('bad_signature', 'the signature of the authority is wrong');
  if (certificate.kind !== kind) throw new Fault('wrong_kind', `it is for a ${certificate.kind}, not for a ${kind}`);
  const seconds = BigInt(Math.floor(now.getTime() / 1000));
  if (seconds < certificate.validAfter) throw new Fault('not_yet_valid', 'it is not valid yet');
  if (seconds >= certificate.validBefore) throw new Fault('expired', 'it has expired');
  if (certificate.principals.length === 0) throw new Fault('no_principals', 'it names no principal');
  if (!certificate.principals.includes(principal)) throw new Fault('wrong_principal', `it is not for ${JSON.stringify(principal.slice(0, 100))}`);
  return certificate;
}

class Fault extends Error {
  readonly fault: CertificateFault;
  constructor(fault: CertificateFault, why: string) {
    super(why);
    this.fault = fault;
  }
}

function judge<T>(verify: () => T): { readonly accepted: T } | CertificateRefused {
  try {
    return { accepted: verify() };
  } catch (error) {
    if (error instanceof Fault) return { fault: error.fault, why: error.message };
    if (error instanceof Malformed) return { fault: 'malformed', why: error.message };
    if (error instanceof UnknownOption) return { fault: 'unknown_option', why: error.message };
    throw error;
  }
}
