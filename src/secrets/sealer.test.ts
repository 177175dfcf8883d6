import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { SealBroken } from '#app/ports/secrets.ts';
import { KeyRing, rootKeyOf } from './root-key.ts';
import { makeSecrets } from './sealer.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const ROW = 'targets/tgt_01/credential';
const why = (reason: SealBroken['why']) => (error: unknown) => error instanceof SealBroken && error.why === reason;
const newKey = () => rootKeyOf(randomBytes(32));

test('what is sealed opens again: text, bytes, nothing at all', () => {
  const secrets = makeSecrets(new KeyRing([newKey()]), random);
  assert.equal(secrets.openText(secrets.seal('pässword', ROW), ROW), 'pässword');
  assert.deepEqual([...secrets.open(secrets.seal(Uint8Array.of(0, 255), ROW), ROW)], [0, 255]);
  assert.equal(secrets.openText(secrets.seal('', ROW), ROW), '');
});

test('an altered byte anywhere, a cut or a longer end: it does not open', () => {
  const secrets = makeSecrets(new KeyRing([newKey()]), random);
  const sealed = secrets.seal('orders-password', ROW);
  for (let at = 0; at < sealed.length; at++) {
    for (const flip of [1, 0x80]) {
      const altered = Uint8Array.from(sealed);
      altered[at] = (altered[at] as number) ^ flip;
      assert.throws(() => secrets.open(altered, ROW), SealBroken, `byte ${at}`);
      if (at > 8) assert.throws(() => secrets.rewrap(altered, ROW), why('not_authentic'), `byte ${at}`);
    }
    assert.throws(() => secrets.open(sealed.subarray(0, at), ROW), SealBroken, `cut at ${at}`);
  }
  assert.throws(() => secrets.open(Buffer.concat([sealed, Buffer.of(0)]), ROW), why('not_authentic'));
});

test('a value moved to another row or field does not open there', () => {
  const secrets = makeSecrets(new KeyRing([newKey()]), random);
  const sealed = secrets.seal('orders-password', ROW);
  for (const other of ['targets/tgt_02/credential', 'targets/tgt_01/recording', 'targets/tgt_01/credentia', `${ROW}/x`]) {
    assert.throws(() => secrets.open(sealed, other), why('not_authentic'));
    assert.throws(() => secrets.rewrap(sealed, other), why('not_authentic'));
  }
  assert.throws(() => secrets.seal('x', 'a\0b'), RangeError);
});

test('the wrap of one value and the payload of another do not go together', () => {
  const secrets = makeSecrets(new KeyRing([newKey()]), random);
  const [first, second] = [secrets.seal('first', ROW), secrets.seal('again', ROW)];
  const mixed = Buffer.concat([first.subarray(0, 69), second.subarray(69)]);
  assert.throws(() => secrets.open(mixed, ROW), why('not_authentic'));
});

test('rotation: the newest key seals, every key opens, and rewrapping leaves the payload as it is', () => {
  const [old, next] = [newKey(), newKey()];
  const ring = new KeyRing([old]);
  const secrets = makeSecrets(ring, random);
  const sealed = secrets.seal('kept', ROW);
  assert.equal(secrets.needsRewrap(sealed, ROW), false);
  ring.replace([next, old]);
  assert.equal(secrets.needsRewrap(sealed, ROW), true);
  assert.equal(secrets.openText(sealed, ROW), 'kept');
  const rewrapped = secrets.rewrap(sealed, ROW);
  assert.equal(secrets.needsRewrap(rewrapped, ROW), false);
  assert.deepEqual(rewrapped.subarray(69), sealed.subarray(69));
  ring.replace([next]);
  assert.equal(secrets.openText(rewrapped, ROW), 'kept');
  assert.throws(() => secrets.open(sealed, ROW), why('unknown_key'));
});

test('a broken seal and a root key say nothing of what they hold, wherever they are printed', () => {
  const bytes = Buffer.alloc(32, 'S3CRETS3');
  const key = rootKeyOf(bytes);
  const secrets = makeSecrets(new KeyRing([key]), random);
  const sealed = secrets.seal('orders-password', ROW);
  const error = (() => {
    try {
      return secrets.open(sealed, 'targets/tgt_02/credential');
    } catch (caught) {
      return caught;
    }
  })();
  const printed = [error, key, new KeyRing([key]), secrets].map((thing) => `${inspect(thing, { depth: 9 })}${JSON.stringify(thing)}`).join();
  for (const secret of ['orders-password', 'S3CRET', bytes.toString('base64'), bytes.toString('hex')]) assert.ok(!printed.includes(secret));
});
