import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { isOutdated, makePasswordHasher, preparePassword } from './password.ts';

const random = { bytes: (count: number) => randomBytes(count) };
const GOOD = 'lantern otter quarry seven';
const refused = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

test('a password verifies against its own verifier only', async () => {
  const hasher = makePasswordHasher({ random });
  const [stored, again] = await Promise.all([hasher.hash(GOOD), hasher.hash(GOOD)]);
  assert.match(stored, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(stored, again, 'salted');
  assert.equal(await hasher.verify(stored, GOOD), true);
  assert.equal(await hasher.verify(stored, `${GOOD} `), false);
  assert.equal(await hasher.verify(stored, ''), false);
  const longest = await hasher.hash('xyz-'.repeat(64));
  assert.equal(await hasher.verify(longest, `${'xyz-'.repeat(64)}!`), false, 'too long is not cut to fit');
  assert.equal(await hasher.verify(null, GOOD), false);
  assert.equal(isOutdated(stored), false);
  assert.equal(isOutdated(stored.replace('t=2', 't=3')), true);
});

test('a verifier made by another Argon2id implementation is understood (the reference C program, same parameters)', async () => {
  // echo -n "lantern otter quarry seven" | argon2 "0123456789abcdef" -id -k 19456 -t 2 -p 1 -l 32 -e
  const stored = '$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5h9P2QixCapmF8ptSMF2OqgKKF9hKxh92uS81NA4X9I';
  assert.equal(await makePasswordHasher({ random }).verify(stored, GOOD), true);
});

test('NFKC: what looks the same on two keyboards is the same password', async () => {
  const hasher = makePasswordHasher({ random });
  const stored = await hasher.hash(preparePassword('Ångström ﬁve blue lamps'));
  assert.equal(await hasher.verify(stored, 'A\u030angstro\u0308m five blue lamps'), true);
  assert.equal(await hasher.verify(stored, 'Angstrom five blue lamps'), false);
});

test('nobody of that name costs what a wrong password costs', async () => {
  const hasher = makePasswordHasher({ random, atOnce: 1 });
  const stored = await hasher.hash(GOOD);
  // Work, not time, is compared: with one turn at a time both must go through the same derivation.
  const cpu = async (verifier: string | null) => {
    const before = process.cpuUsage();
    for (let i = 0; i < 5; i++) await hasher.verify(verifier, 'wrong horse battery');
    const used = process.cpuUsage(before);
    return used.user + used.system;
  };
  await cpu(stored);
  const [known, unknown] = [await cpu(stored), await cpu(null)];
  assert.ok(unknown > known / 3 && unknown < known * 3, `${unknown} us against ${known} us`);
});

test('weak passwords are refused with a reason, good ones pass', () => {
  for (const bad of ['', 'short', 'elevenchars', 'aaaaaaaaaaaa', 'abababababab', '123456789012', 'abcdefghijklm', 'P@ssw0rd1234', 'password2024!', 'qwertyuiop12', 'BrevetBrevet1', 'Welcome12345', 'anna.kovacs.1', 'a'.repeat(300), 'tab\tin the middle', 'ab\ud800cdefghijkqxz']) {
    assert.throws(() => preparePassword(bad, ['anna.kovacs', 'Anna Kovács']), refused('invalid_input'), bad);
  }
  for (const good of [GOOD, 'mZ4!kd9$wQx7', 'tizenkét kék lámpás', '密码很长的一个句子不容易猜到', 'brevet lantern otter', '8203-4471-9926-x']) {
    assert.equal(preparePassword(good), good.normalize('NFKC'));
  }
});

test('a crowd: at most so many hash at once, so many wait, the rest is told at once; then all is free again', async () => {
  const hasher = makePasswordHasher({ random, atOnce: 1, waiting: 2 });
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => hasher.verify(null, GOOD)));
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 3);
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.ok(refused('rate_limited')(outcome.reason));
  assert.equal(await hasher.verify(null, GOOD), false);
});

test('a damaged verifier is an error and never a yes', async () => {
  const hasher = makePasswordHasher({ random });
  const stored = await hasher.hash(GOOD);
  for (const bad of ['', GOOD, stored.slice(0, -1), stored.replace('argon2id', 'argon2i'), stored.replace('m=19456', 'm=99999999')]) {
    await assert.rejects(hasher.verify(bad, GOOD), /not one of ours/);
  }
  assert.equal((await Promise.allSettled([hasher.verify(stored, GOOD)]))[0]?.status, 'fulfilled', 'the turn was given back');
});
