import assert from 'node:assert/strict';
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApiDouble, Refused, sent } from '#test/worlds/api-double.ts';
import { keyId, me, ana } from '#test/worlds/api-samples.ts';
import { CliWorld, LINK_SECRET } from '#test/worlds/cli-world.ts';

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test('a one-time link enrols a key that only this user can read, and that signs from then on', async () => {
  await using double = await ApiDouble.start({ me: () => me });
  await using world = await CliWorld.make();
  const signIn = await world.signIn(double);
  assert.match(signIn.stdout, /signed in as Ana Novak \(ana\)/);
  assert.deepEqual([await mode(world.home), await mode(join(world.home, 'key.pem')), await mode(join(world.home, 'profile.json'))], ['700', '600', '600']);
  assert.doesNotMatch(await readFile(join(world.home, 'profile.json'), 'utf8'), /PRIVATE|bvl_/);
  const who = await world.run(['whoami', '--json']);
  assert.deepEqual(JSON.parse(who.stdout), me);
  assert.equal(double.called('me')[0]?.keyId, keyId);
  assert.deepEqual(double.complaints, []);
});

test('the link goes to the server it names: the secret in the body, the label as given', async () => {
  await using double = await ApiDouble.start({ signInByLink: () => ({ key: keyId, principal: ana }) });
  await using world = await CliWorld.make();
  const ran = await world.run(['login', `${double.url}/sign-in#${LINK_SECRET}`, '--label', 'laptop', '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(JSON.parse(ran.stdout), { key: keyId, principal: ana });
  const { link, label, publicKey } = sent<Record<string, string>>(double.calls[0]);
  assert.deepEqual([link, label], [LINK_SECRET, 'laptop']);
  assert.match(publicKey ?? '', /^-----BEGIN PUBLIC KEY-----/);
});

test('wrong links: told what is wrong, nothing sent, nothing kept', async () => {
  await using double = await ApiDouble.start();
  await using world = await CliWorld.make();
  for (const [link, text] of [
    [`${double.url}/sign-in`, /no one-time secret/],
    [`${double.url}/sign-in#bvl_short`, /no one-time secret/],
    ['bvl_0123456789abcdefghijklmnop', /not a sign-in link/],
    [`http://brevet.example/sign-in#${LINK_SECRET}`, /without TLS/],
  ] as const) {
    const ran = await world.run(['login', link]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, text);
    assert.doesNotMatch(ran.stderr, /0123456789abcdef/, 'the secret is not repeated');
  }
  assert.deepEqual(double.calls, []);
  await assert.rejects(stat(world.home));
});

test('a spent link leaves the sign-in from before as it was', async () => {
  await using double = await ApiDouble.start({ me: () => me });
  await using world = await CliWorld.make();
  await world.signIn(double);
  double.handlers.signInByLink = () => {
    throw new Refused(401, 'token_spent', 'this link was used already', 'Ask for a new one.');
  };
  const ran = await world.run(['login', `${double.url}/sign-in#${LINK_SECRET}`]);
  assert.deepEqual([ran.code, ran.stderr], [6, 'brevet: this link was used already\n  Ask for a new one.\n']);
  assert.equal((await world.run(['whoami'])).code, 0);
});

test('a password comes by standard input, never as an argument', async () => {
  await using double = await ApiDouble.start({ signInByPassword: () => ({ key: keyId, principal: ana }) });
  await using world = await CliWorld.make();
  const ran = await world.run(['login', '--password', 'ana', '--server', double.url], { stdin: 'correct horse\n' });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(sent<{ password: string }>(double.calls[0]).password, 'correct horse');
  assert.doesNotMatch(ran.stdout + ran.stderr, /correct horse/);
});

test('a key that others could read is refused', async () => {
  await using double = await ApiDouble.start({ me: () => me });
  await using world = await CliWorld.make();
  await world.signIn(double);
  await chmod(join(world.home, 'key.pem'), 0o644);
  const ran = await world.run(['whoami']);
  assert.equal(ran.code, 6);
  assert.match(ran.stderr, /can be read or changed by others \(mode 644\)/);
  assert.deepEqual(double.calls, []);
});

test('the key signs for its own server only', async () => {
  await using double = await ApiDouble.start({ me: () => me });
  await using other = await ApiDouble.start({ me: () => me });
  await using world = await CliWorld.make();
  await world.signIn(double);
  let reached = false;
  other.intercept = () => {
    reached = true;
    return false;
  };
  const ran = await world.run(['whoami', '--server', other.url]);
  assert.equal(ran.code, 6);
  assert.equal(reached, false, 'the other server hears nothing at all');
});

test('logout revokes the key, then forgets it; unreachable, it keeps both', async () => {
  await using world = await CliWorld.make();
  {
    await using double = await ApiDouble.start({ revokeKey: () => ({}) });
    await world.signIn(double);
    assert.equal((await world.run(['logout'])).code, 0);
    assert.deepEqual(double.calls.map((call) => call.params), [{ id: keyId }]);
    await assert.rejects(stat(join(world.home, 'key.pem')));
    await world.signIn(double);
  }
  const ran = await world.run(['logout']);
  assert.equal(ran.code, 7);
  assert.match(ran.stderr, /--local/);
  assert.equal((await world.run(['logout', '--local'])).code, 0);
  assert.equal((await world.run(['whoami'])).code, 6);
});
