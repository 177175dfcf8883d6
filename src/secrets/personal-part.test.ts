import assert from 'node:assert/strict';
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { SealBroken } from '#app/ports/secrets.ts';
import { openPersonalPart, sealPersonalPart } from './personal-part.ts';
import { KeyRing, rootKeyOf } from './root-key.ts';
import { makeSecrets } from './sealer.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const ANNA = 'per_anna';

test('a personal part opens under its subject and entry only', () => {
  const secrets = makeSecrets(new KeyRing([rootKeyOf(randomBytes(32))]), random);
  const [anna, bela] = [secrets.newSubjectKey(ANNA), secrets.newSubjectKey('per_bela')];
  const sealed = secrets.sealPersonal(ANNA, anna, { reason: 'ticket 7' }, 'evt_1');
  assert.deepEqual(secrets.openPersonal(ANNA, anna, sealed, 'evt_1'), { reason: 'ticket 7' });
  assert.throws(() => secrets.openPersonal(ANNA, anna, sealed, 'evt_2'), SealBroken);
  assert.throws(() => secrets.openPersonal('per_bela', bela, sealed, 'evt_1'), SealBroken);
  assert.throws(() => secrets.openPersonal('per_bela', anna, sealed, 'evt_1'), SealBroken, "another subject's wrapped key");
  for (let at = 0; at < sealed.length; at++) {
    const altered = Uint8Array.from(sealed);
    altered[at] = (altered[at] as number) ^ 1;
    assert.throws(() => secrets.openPersonal(ANNA, anna, altered, 'evt_1'), SealBroken, `byte ${at}`);
    assert.throws(() => secrets.openPersonal(ANNA, anna, sealed.subarray(0, at), 'evt_1'), SealBroken);
  }
});

test('G07: with the wrapped subject key gone, neither root key nor guessing brings a part back', () => {
  const root = rootKeyOf(randomBytes(32));
  const secrets = makeSecrets(new KeyRing([root]), random);
  const key = secrets.newSubjectKey(ANNA);
  const sealed = secrets.sealPersonal(ANNA, key, { name: 'Anna' }, 'evt_1');
  // The row is deleted. A new key for the same subject is another key.
  assert.throws(() => secrets.openPersonal(ANNA, secrets.newSubjectKey(ANNA), sealed, 'evt_1'), SealBroken);
  // Whoever guesses the text cannot test the guess: sealing it again, even under the same key, shares no 8 bytes with it.
  const guess = Buffer.from(secrets.sealPersonal(ANNA, key, { name: 'Anna' }, 'evt_1'));
  for (let at = 1; at + 8 <= sealed.length; at++) assert.ok(!guess.includes(Buffer.from(sealed.subarray(at, at + 8))), `byte ${at}`);
  // Nor by length: names and reasons of many lengths look alike.
  const lengths = new Set(['', 'Al', 'Anna-Maria Magdalena of somewhere'].map((name) => secrets.sealPersonal(ANNA, key, { name }, 'evt_1').length));
  assert.deepEqual([...lengths], [1 + 16 + 32 + 64 + 16]);
  assert.equal(secrets.sealPersonal(ANNA, key, { name: 'x'.repeat(60) }, 'evt_1').length, 1 + 16 + 32 + 128 + 16);
});

test('a part is bound to one key: bytes made to decrypt under another do not open', () => {
  const [real, other] = [randomBytes(32), randomBytes(32)];
  const sealed = sealPersonalPart(real, { said: 'yes' }, 'evt_1', random);
  const salt = sealed.subarray(1, 17);
  // A valid ciphertext under the other key, with the commitment to the real one left in place.
  const derived = Buffer.from(hkdfSync('sha256', other, salt, 'brevet personal part v1', 64));
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), Buffer.alloc(12));
  cipher.setAAD(Buffer.from('brevet personal part v1\0evt_1'));
  const text = Buffer.concat([cipher.update('{"said":"no"}'.padEnd(64)), cipher.final(), cipher.getAuthTag()]);
  const forged = Buffer.concat([sealed.subarray(0, 49), text]);
  assert.throws(() => openPersonalPart(other, forged, 'evt_1'), SealBroken);
  const honest = Buffer.concat([sealed.subarray(0, 17), derived.subarray(32), text]);
  assert.deepEqual(openPersonalPart(other, honest, 'evt_1'), { said: 'no' }, 'the same bytes with their own commitment do open');
});
