import type { GrantId, KeyId, PrincipalId } from '#domain/id.ts';
import type { ScramVerifier } from './gate.ts';

/** What people and brokers prove themselves with, and what is spent once. Part of the store (store.ts). */
export interface EnrolledKey {
  readonly id: KeyId;
  readonly principal: PrincipalId;
  readonly label: string;
  /** SPKI, PEM. */
  readonly publicKey: string;
  readonly createdAt: Date;
  /** When and how its holder last signed in. */
  readonly signedInAt: Date;
  readonly signInMethod: 'link' | 'password' | 'administrator';
  /** Who issued the link that this key, or the password behind it, goes back to; `null` for the server itself. */
  readonly issuedBy: PrincipalId | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface ConnectionToken {
  readonly handle: string;
  readonly grant: GrantId;
  readonly principal: PrincipalId;
  readonly verifier: ScramVerifier;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface CredentialTable {
  insertKey(key: EnrolledKey): Promise<void>;
  key(id: KeyId): Promise<EnrolledKey | null>;
  keyByPublicKey(pem: string): Promise<EnrolledKey | null>;
  keysOf(principal: PrincipalId): Promise<readonly EnrolledKey[]>;
  revokeKey(id: KeyId, at: Date): Promise<boolean>;
  touchKey(id: KeyId, at: Date): Promise<void>;
  /** False when this nonce was used with this key before. */
  spendNonce(key: KeyId, nonce: string, at: Date): Promise<boolean>;
  insertLink(verifier: Uint8Array, principal: PrincipalId, issuedBy: PrincipalId | null, at: Date, expiresAt: Date): Promise<void>;
  /** Whose link it is, if it is live; it is spent by this call, once. */
  spendLink(verifier: Uint8Array, at: Date): Promise<{ readonly principal: PrincipalId; readonly issuedBy: PrincipalId | null } | null>;
  insertToken(token: ConnectionToken): Promise<void>;
  token(handle: string, now: Date): Promise<ConnectionToken | null>;
  /** Spends a live token; exactly one of any number of racers is answered with it. */
  spendToken(handle: string, now: Date): Promise<ConnectionToken | null>;
  countTokens(principal: PrincipalId, now: Date): Promise<number>;
  insertCertificate(certificate: { readonly fingerprint: string; readonly principal: PrincipalId; readonly grant: GrantId | null; readonly createdAt: Date; readonly notAfter: Date }): Promise<void>;
  certificate(fingerprint: string, now: Date): Promise<{ readonly principal: PrincipalId; readonly grant: GrantId | null } | null>;
  /** Ends a principal's certificates and unspent tokens: whoever got them by a key has nothing when that key is gone. */
  revokeIssued(principal: PrincipalId, at: Date): Promise<void>;
  /** Opens an idempotency key: `new`, or what was answered the first time (sealed), or null when the body differs or it still runs. */
  openIdempotency(principal: PrincipalId, key: string, bodyHash: string, at: Date): Promise<'new' | { readonly status: number; readonly response: Uint8Array } | null>;
  closeIdempotency(principal: PrincipalId, key: string, status: number, response: Uint8Array): Promise<void>;
  /** Forgets a key whose call failed on our side, so that the caller may try again. */
  forgetIdempotency(principal: PrincipalId, key: string): Promise<void>;
  /** Drops spent nonces, old idempotency keys, and links, tokens and certificates that ran out before; of each so many at a time. */
  purge(before: Date): Promise<void>;
  ownKey(name: string): Promise<{ readonly sealed: Uint8Array; readonly public: string } | null>;
  /** Keeps the first of several racers' keys and answers the one kept. */
  keepOwnKey(name: string, sealed: Uint8Array, publicKey: string, at: Date): Promise<{ readonly sealed: Uint8Array; readonly public: string }>;
}
