import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { cookieVerifier, newSessionCookie, readSessionCookie, sessionStanding, setCookieHeader } from './session-cookie.ts';
import { newOneTimeSecret, verifierOf } from './one-time.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const { value, verifier } = newSessionCookie(random);

test('E07: the attributes that keep a cookie from being read, planted or sent along', () => {
  assert.equal(setCookieHeader(value, { secure: true, maxAge: 43_200 }), `__Host-brevet=${value}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure`);
  assert.equal(setCookieHeader('', { secure: false, maxAge: 0 }), 'brevet=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict');
});

test('only a verifier is kept, every cookie is another, and none is a one-time secret', () => {
  assert.deepEqual(cookieVerifier(value), verifier);
  assert.ok(!Buffer.from(verifier).toString('base64url').includes(value));
  assert.equal(new Set(Array.from({ length: 100 }, () => newSessionCookie(random).value)).size, 100);
  assert.throws(() => verifierOf('sign_in_link', value));
  assert.equal(readSessionCookie(`__Host-brevet=${newOneTimeSecret('sign_in_link', random)}`, true), null);
});

test('a cookie header is read strictly', () => {
  const name = '__Host-brevet';
  for (const fine of [`${name}=${value}`, `a=b; ${name}=${value}; c="d"`, `${name}=${value};x=${name}=y`]) assert.equal(readSessionCookie(fine, true), value, fine);
  const bad = [
    undefined, '', name, `${name}=`, `${name}=${value}x`, `${name}=${value.slice(1)}`, `${name}="${value}"`, `${name} =${value}`, `${name.toLowerCase()}=${value}`,
    `brevet=${value}`, `x${name}=${value}`, `${name}=${value}, a=b`, `${name}=${value.slice(0, 42)}B`, `${name}=${value.slice(0, 42)}=`, `a=${'x'.repeat(9000)}; ${name}=${value}`,
  ];
  for (const header of bad) assert.equal(readSessionCookie(header, true), null, header);
  assert.equal(readSessionCookie(`brevet=${value}`, false), value);
});

test('E07: a second cookie of the same name, planted by a neighbour, ends the session rather than taking it over', () => {
  const planted = newSessionCookie(random).value;
  assert.equal(readSessionCookie(`__Host-brevet=${planted}; __Host-brevet=${value}`, true), null);
  assert.equal(readSessionCookie(`__Host-brevet=${value}; __Host-brevet=${value}`, true), null);
  assert.equal(readSessionCookie(`__Host-brevet=; __Host-brevet=${value}`, true), null);
});

test('E07: idle and absolute limits, at their edges, and under a clock that jumped back', () => {
  const at = (seconds: number) => new Date(1_790_000_000_000 + seconds * 1000);
  const standing = (started: number, seen: number, now: number) => sessionStanding({ startedAt: at(started), lastSeenAt: at(seen) }, at(now));
  assert.equal(standing(0, 0, 1799), 'live');
  assert.equal(standing(0, 0, 1800), 'idle');
  assert.equal(standing(0, 43_100, 43_199), 'live');
  assert.equal(standing(0, 43_199, 43_200), 'too_old');
  assert.equal(standing(3600, 3600, 0), 'too_old');
  assert.equal(sessionStanding({ startedAt: new Date(Number.NaN), lastSeenAt: at(0) }, at(0)), 'too_old');
  assert.equal(sessionStanding({ startedAt: at(0), lastSeenAt: new Date(Number.NaN) }, at(0)), 'idle');
});
