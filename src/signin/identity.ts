import type { Identity } from '#app/ports/identity.ts';
import type { Random } from '#app/ports/runtime.ts';
import { base32, isOneTimeSecret, newOneTimeSecret, verifierOf } from './one-time.ts';
import { makePasswordHasher, preparePassword, type PasswordHasher } from './password.ts';
import { readSigningKey } from './public-key.ts';
import { madeUpVerifier, scramVerifier } from './scram.ts';

export interface IdentityOptions {
  readonly random: Random;
  /** At least 32 bytes, the same in every process: what unknown handles are challenged with comes from it. */
  readonly decoySecret: Uint8Array;
  readonly hasher?: PasswordHasher;
}

/** The port's implementation, out of the parts of this folder. */
export function makeIdentity({ random, decoySecret, hasher = makePasswordHasher({ random }) }: IdentityOptions): Identity {
  return {
    newConnectionToken: () => {
      const secret = newOneTimeSecret('connection_token', random);
      // 80 bits: a handle is public, but two live ones must not meet, and guessing one must not spend somebody's token.
      return { handle: base32(random.bytes(10)), secret, verifier: scramVerifier(secret, random) };
    },
    madeUpVerifier: (handle) => madeUpVerifier(handle, decoySecret),
    newSignInLink: () => {
      const secret = newOneTimeSecret('sign_in_link', random);
      return { secret, verifier: verifierOf('sign_in_link', secret) };
    },
    linkVerifier: (secret) => (isOneTimeSecret('sign_in_link', secret) ? verifierOf('sign_in_link', secret) : null),
    hashPassword: async (password) => hasher.hash(preparePassword(password)),
    verifyPassword: (password, hash) => hasher.verify(hash, password),
    checkSigningKey: (pem) => readSigningKey(pem).pem,
  };
}
