import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { readCertificateKey, readSigningKey } from './public-key.ts';

const spki = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }).toString();
const refused = (error: unknown) => error instanceof Refusal && error.code === 'invalid_input' && error.details.field === '/publicKey';
const edwards = (encoded: string) => createPublicKey({ key: Buffer.from(`302a300506032b6570032100${encoded}`, 'hex'), format: 'der', type: 'spki' });

test('a key is brought into one form, whatever its line ends', () => {
  const pem = spki(generateKeyPairSync('ed25519').publicKey);
  const key = readSigningKey(pem);
  assert.equal(key.pem, pem);
  assert.match(key.fingerprint, /^[0-9a-f]{64}$/);
  assert.deepEqual(readSigningKey(pem.replaceAll('\n', '\r\n')).pem, pem);
});

test('which keys may sign, and which may go into a certificate', () => {
  const keys = {
    ed25519: generateKeyPairSync('ed25519').publicKey,
    'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
    'RSA 3072': generateKeyPairSync('rsa', { modulusLength: 3072 }).publicKey,
    'RSA 2048': generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey,
    secp256k1: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey,
    x25519: generateKeyPairSync('x25519').publicKey,
  };
  const accepts = (read: (pem: string) => unknown) =>
    Object.entries(keys).filter(([, key]) => {
      try {
        return read(spki(key)) !== null;
      } catch (error) {
        assert.ok(refused(error));
        return false;
      }
    }).map(([name]) => name);
  assert.deepEqual(accepts(readSigningKey), ['ed25519']);
  assert.deepEqual(accepts(readCertificateKey), ['ed25519', 'P-256', 'RSA 3072']);
});

test('anything but one public key is refused: private keys above all, and without quoting them', () => {
  const pair = generateKeyPairSync('ed25519');
  const secret = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  for (const bad of ['', 'ssh-ed25519 AAAA', secret, spki(pair.publicKey) + secret, spki(pair.publicKey).repeat(2), spki(pair.publicKey).replace('MCow', 'MCox')]) {
    assert.throws(() => readSigningKey(bad), (error: Error) => refused(error) && !error.message.includes('MC4CAQ'));
  }
});

test('a key of small order is refused: openssl accepts one fixed signature under it for many a message', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'brevet-small-order-'));
  const file = (name: string, bytes: Uint8Array | string) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  try {
    // R is the base point and S is 1: it verifies whenever the hash is a multiple of the key's order.
    const signature = file('signature', Buffer.from(`58${'66'.repeat(31)}01${'00'.repeat(31)}`, 'hex'));
    for (const y of ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, `ed${'ff'.repeat(30)}7f`, `ee${'ff'.repeat(30)}7f`, '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a']) {
      const key = file('key', spki(edwards(y)));
      const forged = Array.from({ length: 60 }, (_, i) => i).some((i) => {
        const args = ['pkeyutl', '-verify', '-pubin', '-inkey', key, '-rawin', '-in', file('message', `message ${i}`), '-sigfile', signature];
        return spawnSync('openssl', args).status === 0;
      });
      assert.ok(forged, y);
      const negative = y.slice(0, 62) + (Number.parseInt(y.slice(62), 16) | 0x80).toString(16);
      for (const each of [y, negative]) assert.throws(() => readSigningKey(spki(edwards(each))), refused, each);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
