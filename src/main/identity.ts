import type { Identity } from '#app/ports/identity.ts';
import { isOneTimeSecret, newOneTimeSecret, verifierOf } from '#signin/one-time.ts';
import { makePasswordHasher, preparePassword } from '#signin/password.ts';
import { readSigningKey } from '#signin/public-key.ts';
import { madeUpVerifier, scramVerifier } from '#signin/scram.ts';
import { random } from './runtime.ts';

const HANDLE_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

export function openIdentity(challenge: Uint8Array): Identity {
  const passwords = makePasswordHasher({ random });
  return {
    newConnectionToken() {
      const secret = newOneTimeSecret('connection_token', random);
      const handle = Array.from(random.bytes(12), (byte) => HANDLE_ALPHABET[byte % 32]).join('');
      return { handle, secret, verifier: scramVerifier(secret, random) };
    },
    madeUpVerifier: (handle) => madeUpVerifier(handle, challenge),
    newSignInLink() {
      const secret = newOneTimeSecret('sign_in_link', random);
      return { secret, verifier: verifierOf('sign_in_link', secret) };
    },
    linkVerifier: (secret) => (isOneTimeSecret('sign_in_link', secret) ? verifierOf('sign_in_link', secret) : null),
    hashPassword: (password) => passwords.hash(preparePassword(password)),
    verifyPassword: (password, hash) => passwords.verify(hash, password),
    checkSigningKey: (pem) => readSigningKey(pem).pem,
  };
}
