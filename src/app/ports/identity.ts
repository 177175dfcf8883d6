import type { GrantId, PrincipalId } from '#domain/id.ts';
import type { ScramVerifier } from './gate.ts';

/** Makes and checks what people and machines prove themselves with. Pure computation: nothing here is stored. */
export interface Identity {
  /** A one-time secret to connect with, its public handle and the verifier that is kept of it. */
  newConnectionToken(): { readonly handle: string; readonly secret: string; readonly verifier: ScramVerifier };
  /** For a handle that nobody has: always the same for one handle, and like any other to look at. */
  madeUpVerifier(handle: string): ScramVerifier;
  /** A one-time secret to sign in with, and what is kept of it. */
  newSignInLink(): { readonly secret: string; readonly verifier: Uint8Array };
  /** What is kept of a link, or null when the text is no such secret. */
  linkVerifier(secret: string): Uint8Array | null;
  hashPassword(password: string): Promise<string>;
  /** Takes as long for `null` (nobody of that name) as for a real hash. */
  verifyPassword(password: string, hash: string | null): Promise<boolean>;
  /** Normalised SPKI in PEM. @throws Refusal `invalid_input` unless an Ed25519 public key */
  checkSigningKey(pem: string): string;
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

/** Brevet's X.509 authority. */
export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** A client certificate for somebody else's key. @throws Refusal `invalid_input` for a key that is too weak */
  issueClient(ask: { readonly principal: PrincipalId; readonly grant: GrantId | null; readonly publicKey: string; readonly now: Date; readonly seconds: number }): IssuedCertificate;
}
