import type { JsonObject } from '#domain/json.ts';

/**
 * What a sealed value belongs to: the table, the row and the field, as in `targets/tgt_.../credential`. It is
 * authenticated with the value, so that a value copied to another row does not open there.
 */
export type SecretIdentity = string;

/**
 * A sealed value that does not open. It never says what was in it, and is never shown to a user: the edge answers
 * `internal`, and the server's log gets `why` and `identity`.
 */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
  /** `malformed`: not one of ours; `unknown_key`: its root key is not loaded; `not_authentic`: altered, or of another row. */
  readonly why: 'malformed' | 'unknown_key' | 'not_authentic';
  readonly identity: SecretIdentity;
  constructor(why: SealBroken['why'], identity: SecretIdentity) {
    super(`the sealed value of ${identity} does not open: ${why}`);
    this.why = why;
    this.identity = identity;
  }
}

/**
 * Secrets at rest. Everything here is computed in memory with root keys that were loaded at start: it works on while
 * the key provider is down, so that a removal can always open the credential it needs.
 *
 * All functions are synchronous, keep no plaintext and cache no key; any number of processes with the same root keys
 * may seal and open the same rows.
 */
export interface Secrets {
  seal(plaintext: Uint8Array | string, identity: SecretIdentity): Uint8Array;
  /** @throws SealBroken */
  open(sealed: Uint8Array, identity: SecretIdentity): Uint8Array;
  /** The same for text. @throws SealBroken */
  openText(sealed: Uint8Array, identity: SecretIdentity): string;

  /** Whether the value is wrapped under another root key than the newest. @throws SealBroken if it is none of ours */
  needsRewrap(sealed: Uint8Array, identity: SecretIdentity): boolean;
  /** The same value under the newest root key; the payload's ciphertext stays as it is. @throws SealBroken */
  rewrap(sealed: Uint8Array, identity: SecretIdentity): Uint8Array;

  /**
   * A new subject key, sealed for `subjects/<subject>/key`: the only form in which it is ever stored. Deleting that row
   * makes every personal part sealed under it unreadable for good, while the log's hashes and proofs still hold.
   */
  newSubjectKey(subject: string): Uint8Array;
  /**
   * Encrypts the personal part of a log entry under a subject's key. `entry` names the entry (its id) and is
   * authenticated. Two equal parts give unrelated bytes, and lengths only show in steps of 64.
   * @throws SealBroken if the subject key does not open
   */
  sealPersonal(subject: string, subjectKey: Uint8Array, personal: JsonObject, entry: string): Uint8Array;
  /** @throws SealBroken */
  openPersonal(subject: string, subjectKey: Uint8Array, sealed: Uint8Array, entry: string): JsonObject;
}
