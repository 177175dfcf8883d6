import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { encodePublicKey } from '#contract/ssh/public-key.ts';
import { readableKey } from './private-key.ts';

test('keys as Node.js writes them are read by ssh2, and sign', () => {
  const keys = [
    ...Array.from({ length: 50 }, () => generateKeyPairSync('ed25519').privateKey),
    ...['P-256', 'P-384', 'P-521'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }).privateKey),
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  ];
  for (const key of keys) {
    const read = ssh2.utils.parseKey(readableKey(key.export({ format: 'pem', type: 'pkcs8' }).toString()));
    assert.ok(!(read instanceof Error), String(read));
    assert.deepEqual(read.getPublicSSH(), encodePublicKey(createPublicKey(key)));
    const data = randomBytes(32);
    assert.equal(read.verify(data, read.sign(data)), true);
  }
});

test('what ssh2 reads already stays as it is', () => {
  const { private: key } = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
  assert.equal(readableKey(key), key);
});
