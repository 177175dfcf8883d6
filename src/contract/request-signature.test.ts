import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { signatureBase, signRequest, targetProblem } from './request-signature.ts';

const KEY = createPrivateKey('-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----');

test('RFC 9421 appendix B.2.6: the Ed25519 example verifies over our signature base', () => {
  const base = signatureBase(
    [['date', 'Tue, 20 Apr 2021 02:07:55 GMT'], ['@method', 'POST'], ['@path', '/foo'], ['@authority', 'example.com'], ['content-type', 'application/json'], ['content-length', '18']],
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
  );
  const signature = Buffer.from('wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==', 'base64');
  assert.ok(verify(null, base, createPublicKey(KEY), signature));
});

test('what no server would accept is not signed', () => {
  const message = { method: 'GET', authority: 'brevet.example', target: '/api/v1/me', headers: {} };
  const key = { keyId: 'key_1', privateKey: KEY };
  const fresh = { created: 1_790_000_000, nonce: new Uint8Array(16) };
  assert.ok(signRequest(message, null, key, fresh).signature);
  for (const change of [{ method: 'get' }, { target: '/a/../b' }, { target: '' }, { authority: 'Brevet' }, { authority: 'a/b' }, { headers: { 'content-type': 'a\r\nb' } }, { headers: { 'if-match': ['a', 'b'] } }]) {
    assert.throws(() => signRequest({ ...message, ...change }, null, key, fresh), RangeError, JSON.stringify(change));
  }
  for (const change of [{ nonce: new Uint8Array(15) }, { nonce: new Uint8Array(65) }, { created: 0 }, { created: 1.5 }]) {
    assert.throws(() => signRequest(message, null, key, { ...fresh, ...change }), RangeError, JSON.stringify(change));
  }
  assert.throws(() => signRequest(message, null, { ...key, keyId: 'a"b' }, fresh), RangeError);
});

test('F04: one spelling for each path', () => {
  for (const fine of ['/', '/api/v1/me', '/a?', '/a?b=%2e&c=//', "/-._~!$&'()*+,=:@", '/caf%C3%A9', '/a%20b', '/...', '/.well-known/x']) assert.equal(targetProblem(fine), null, fine);
  for (let code = 0; code < 128; code++) {
    const escape = `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
    const harmless = '!"#$&\'()*+,:<=>?@[]^`{|} '.includes(String.fromCharCode(code));
    assert.equal(targetProblem(`/a${escape}`) === null, harmless, escape);
  }
  for (const bad of ['', '*', 'a', '//', '/a/', '/a//b', '/.', '/..', '/a/./b', '/a/..', '/a%c3', '/a%', '/a%2', '/a%zz', '/a\\b', '/a b', '/a\tb', '/a#b', '/a;b', '/é', '/a?b#c', '/a?é', '/a?%', '/a?<']) assert.notEqual(targetProblem(bad), null, bad);
});
