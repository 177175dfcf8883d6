import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { isOneTimeSecret, newOneTimeSecret, ONE_TIME_PATTERN, verifierOf } from './one-time.ts';

const random = { bytes: (count: number) => randomBytes(count) };

test('the form is stable: fixed bytes give this secret and this verifier', () => {
  const fixed = { bytes: (count: number) => Uint8Array.from({ length: count }, (_, i) => i * 7) };
  const secret = newOneTimeSecret('sign_in_link', fixed);
  assert.equal(secret, 'bvl_003gw58w4cn32e1z8s6n8pv2d5r7ezm5hj9sn8d8nyvbvh6btbcgpz6157');
  assert.equal(Buffer.from(verifierOf('sign_in_link', secret)).toString('hex'), 'ef593ccd3b4a67c09620d949199f89133518b6a89b1fdd6fa7682d7d3c79eba6');
});

test('all 256 bits are in it', () => {
  const seen = new Set<string>();
  for (let bit = 0; bit < 256; bit++) {
    const bytes = new Uint8Array(32);
    bytes[bit >> 3] = 1 << (bit & 7);
    seen.add(newOneTimeSecret('connection_token', { bytes: () => bytes }));
  }
  assert.equal(seen.size, 256);
});

test('E05: a secret of one kind is worth nothing as another, by prefix, by checksum and by hash', () => {
  const link = newOneTimeSecret('sign_in_link', random);
  assert.throws(() => verifierOf('connection_token', link), (error: unknown) =>
    error instanceof Refusal && error.code === 'unauthenticated' && /sign in link/.test(String(error.details.hint)) && !error.message.includes(link));
  const renamed = `bvt${link.slice(3)}`;
  assert.equal(isOneTimeSecret('connection_token', renamed), false);
  // Even the same 32 bytes, given out under both kinds, share no verifier.
  const same = { bytes: () => new Uint8Array(32).fill(9) };
  const [a, b] = [verifierOf('sign_in_link', newOneTimeSecret('sign_in_link', same)), verifierOf('connection_token', newOneTimeSecret('connection_token', same))];
  assert.notDeepEqual(a, b);
});

test('any slip in copying is noticed before the store is asked', () => {
  const secret = newOneTimeSecret('connection_token', random);
  for (let at = 0; at < secret.length; at++) {
    const other = secret[at] === 'x' ? 'y' : 'x';
    assert.equal(isOneTimeSecret('connection_token', secret.slice(0, at) + other + secret.slice(at + 1)), false, `character ${at}`);
  }
  for (const bad of ['', ` ${secret}`, `${secret}\n`, secret.toUpperCase(), secret.slice(1), secret + secret, null, 7, [secret]]) {
    assert.equal(isOneTimeSecret('connection_token', bad), false);
  }
});

test('D09: a scanner finds leaked ones in a log or a URL', () => {
  const [link, token] = [newOneTimeSecret('sign_in_link', random), newOneTimeSecret('connection_token', random)];
  const text = `GET /sign-in#${link} HTTP/1.1 password=${token}; bvl_short`;
  assert.deepEqual(text.match(ONE_TIME_PATTERN), [link, token]);
});
