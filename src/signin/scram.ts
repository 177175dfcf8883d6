/**
 * SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) for connection tokens. Clients such as libpq only speak passwords; with
 * SCRAM the token itself never travels, and what Brevet stores signs nobody in.
 *
 * 4,096 iterations, the least that RFC 7677 allows and what PostgreSQL uses: iterations make guessing dear, and a token
 * of 256 random bits can't be guessed at any price. More would only slow every connection, on the client too.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import type { ScramVerifier } from '#app/ports/gate.ts';
import type { Random } from '#app/ports/runtime.ts';

export const SCRAM_ITERATIONS = 4096;
const SALT = 16;

/**
 * @param token printable ASCII, so that SASLprep (RFC 4013) leaves it as it is
 * @throws RangeError for a token that is short enough to guess: this is not for passwords that people choose
 */
export function scramVerifier(token: string, random: Random): ScramVerifier {
  if (!/^[\x21-\x7e]{43,256}$/.test(token)) throw new RangeError('a SCRAM verifier is made for random tokens only');
  return verifierWith(token, random.bytes(SALT), SCRAM_ITERATIONS);
}

/** The computation of RFC 5802 section 3, for any password that SASLprep leaves as it is. */
export function verifierWith(password: string, salt: Uint8Array, iterations: number): ScramVerifier {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  return {
    iterations,
    salt: Buffer.from(salt).toString('base64'),
    storedKey: createHash('sha256').update(clientKey).digest('base64'),
    serverKey: createHmac('sha256', salted).update('Server Key').digest('base64'),
  };
}

/**
 * What an unknown handle is challenged with: the same every time for the same handle, from every process that has the
 * secret, and of the same form as a real one. No token matches it.
 * @param serverSecret at least 32 bytes that no client knows
 */
export function madeUpVerifier(handle: string, serverSecret: Uint8Array): ScramVerifier {
  if (serverSecret.length < 32) throw new RangeError('the secret behind made-up verifiers has at least 32 bytes');
  const part = (name: string) => createHmac('sha256', serverSecret).update(`brevet made-up scram v1\0${name}\0${handle}`).digest();
  return {
    iterations: SCRAM_ITERATIONS,
    salt: part('salt').subarray(0, SALT).toString('base64'),
    storedKey: part('stored key').toString('base64'),
    serverKey: part('server key').toString('base64'),
  };
}
