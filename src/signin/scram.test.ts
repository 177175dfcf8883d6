import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { ScramVerifier } from '#app/ports/gate.ts';
import { newOneTimeSecret } from './one-time.ts';
import { madeUpVerifier, scramVerifier, verifierWith } from './scram.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const bytes = (base64: string) => Buffer.from(base64, 'base64');
const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text).digest();

/** The server's half of RFC 5802: whether a proof fits the verifier. */
function accepts(verifier: ScramVerifier, message: string, proof: Uint8Array): boolean {
  const signature = hmac(bytes(verifier.storedKey), message);
  const clientKey = proof.map((byte, i) => byte ^ (signature[i] as number));
  return createHash('sha256').update(clientKey).digest('base64') === verifier.storedKey;
}

test('RFC 7677 section 3: the example exchange', () => {
  const verifier = verifierWith('pencil', bytes('W22ZaJ0SNY7soEsUEjb6gQ=='), 4096);
  const message = 'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  assert.ok(accepts(verifier, message, bytes('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')));
  assert.equal(hmac(bytes(verifier.serverKey), message).toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
});

test('whoever holds the verifier, but not the token, cannot sign in', () => {
  const token = newOneTimeSecret('connection_token', random);
  const verifier = scramVerifier(token, random);
  const message = 'any exchange';
  const proofFrom = (clientKey: Uint8Array) => {
    const signature = hmac(bytes(verifier.storedKey), message);
    return clientKey.map((byte, i) => byte ^ (signature[i] as number));
  };
  const salted = pbkdf2Sync(token, bytes(verifier.salt), verifier.iterations, 32, 'sha256');
  assert.ok(accepts(verifier, message, proofFrom(hmac(salted, 'Client Key'))));
  assert.ok(!accepts(verifier, message, proofFrom(bytes(verifier.storedKey))));
  assert.ok(!accepts(verifier, message, proofFrom(bytes(verifier.serverKey))));
});

test('a made-up verifier cannot be told from a real one, and stays the same', () => {
  const secret = randomBytes(32);
  const [real, fake] = [scramVerifier(newOneTimeSecret('connection_token', random), random), madeUpVerifier('tok_1', secret)];
  assert.deepEqual(fake, madeUpVerifier('tok_1', Uint8Array.from(secret)));
  assert.equal(fake.iterations, real.iterations);
  for (const field of ['salt', 'storedKey', 'serverKey'] as const) {
    assert.equal(fake[field].length, real[field].length);
    assert.notEqual(fake[field], madeUpVerifier('tok_2', secret)[field]);
    assert.notEqual(fake[field], madeUpVerifier('tok_1', randomBytes(32))[field]);
  }
  assert.throws(() => madeUpVerifier('tok_1', randomBytes(16)), RangeError);
});

test('a password that a person chose gets no SCRAM verifier', () => {
  for (const weak of ['hunter2', 'lantern otter quarry seven', `x${'é'.repeat(60)}`]) assert.throws(() => scramVerifier(weak, random), RangeError);
});
