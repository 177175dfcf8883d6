import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { makeIdentity } from './identity.ts';
import { verifierWith } from './scram.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const identity = makeIdentity({ random, decoySecret: randomBytes(32) });

test('D09: a connection token, its handle and its verifier belong together, and share nothing else', () => {
  const { handle, secret, verifier } = identity.newConnectionToken();
  assert.match(handle, /^[0-9a-z]{16}$/);
  assert.deepEqual(verifierWith(secret, Buffer.from(verifier.salt, 'base64'), verifier.iterations), verifier);
  assert.ok(!secret.includes(handle) && !JSON.stringify(verifier).includes(secret));
  assert.notEqual(identity.newConnectionToken().handle, handle);
  assert.deepEqual(identity.madeUpVerifier('x'), identity.madeUpVerifier('x'));
});

test('E05: a link is found by its verifier; a connection token in its place is nothing', () => {
  const { secret, verifier } = identity.newSignInLink();
  assert.deepEqual(identity.linkVerifier(secret), verifier);
  for (const other of [identity.newConnectionToken().secret, '', `${secret} `, Buffer.from(verifier).toString('hex')]) assert.equal(identity.linkVerifier(other), null);
});

test('passwords are checked before they are hashed, and nobody has none', async () => {
  await assert.rejects(identity.hashPassword('short'), (error: unknown) => error instanceof Refusal && error.details.field === '/password');
  const hash = await identity.hashPassword('lantern otter quarry seven');
  assert.equal(await identity.verifyPassword('lantern otter quarry seven', hash), true);
  assert.equal(await identity.verifyPassword('lantern otter quarry eight', hash), false);
  assert.equal(await identity.verifyPassword('lantern otter quarry seven', null), false);
});

test('only Ed25519 keys are enrolled, in one spelling', () => {
  const pem = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();
  assert.equal(identity.checkSigningKey(pem.replaceAll('\n', '\r\n')), pem);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }).toString();
  assert.throws(() => identity.checkSigningKey(ec), Refusal);
});
