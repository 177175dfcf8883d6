import assert from 'node:assert/strict';
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApiDouble, Refused, sent } from '#test/worlds/api-double.ts';
import { keyId, me, ana, bo } from '#test/worlds/api-samples.ts';
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

test('somebody else is signed in here: refused with words and the link unspent; --replace revokes the old key first', async () => {
  await using double = await ApiDouble.start({ me: () => me, revokeKey: () => ({}) });
  await using world = await CliWorld.make();
  await world.signIn(double);
  const before = await readFile(join(world.home, 'key.pem'), 'utf8');
  const boKey = keyId.replace(/1$/, '2') as typeof keyId;
  double.handlers.signInByLink = ({ body }) => {
    const { principal, publicKey } = body as { principal?: string; publicKey: string };
    if (principal !== undefined && principal !== bo.id) throw new Refused(409, 'conflict', "this sign-in link is somebody else's; it was not spent");
    double.enrol(boKey, publicKey);
    return { key: boKey, principal: bo };
  };
  const link = `${double.url}/sign-in#${LINK_SECRET}`;
  for (const args of [['login', link], ['login', '--password', 'bo', '--server', double.url], ['login', `http://127.0.0.1:1/sign-in#${LINK_SECRET}`]]) {
    const ran = await world.run(args, { stdin: 'correct horse\n' });
    assert.equal(ran.code, 5, ran.stderr);
    assert.match(ran.stderr, /signed in as ana at http\S+ here.*\n.*BREVET_HOME=FOLDER.*brevet logout.*--replace/);
  }
  assert.equal(await readFile(join(world.home, 'key.pem'), 'utf8'), before);
  assert.deepEqual(double.called('revokeKey'), []);
  const replaced = await world.run(['login', link, '--replace']);
  assert.match(replaced.stdout, /signed in as Bo Lind/, replaced.stderr);
  const revoked = double.called('revokeKey').map((call) => [call.keyId, call.params]);
  assert.deepEqual(revoked, [[keyId, { id: keyId }]], 'the old key revokes itself');
  assert.notEqual(await readFile(join(world.home, 'key.pem'), 'utf8'), before);
});

test('the same person again: the key before is revoked, or it is said that it was not', async () => {
  await using double = await ApiDouble.start({ me: () => me, revokeKey: () => ({}) });
  await using world = await CliWorld.make();
  await world.signIn(double);
  const again = (n: number) => {
    double.handlers.signInByLink = ({ body }) => {
      const key = keyId.replace(/1$/, String(n)) as typeof keyId;
      double.enrol(key, (body as { publicKey: string }).publicKey);
      return { key, principal: ana };
    };
    return world.run(['login', `${double.url}/sign-in#${LINK_SECRET}`]);
  };
  assert.equal((await again(2)).code, 0);
  assert.equal(sent<{ principal: string }>(double.called('signInByLink')[0]).principal, ana.id);
  assert.deepEqual(double.called('revokeKey').map((call) => call.params), [{ id: keyId }]);
  double.handlers.revokeKey = () => {
    throw new Refused(500, 'internal', 'out of order', '');
  };
  const ran = await again(3);
  assert.equal(ran.code, 0);
  assert.match(ran.stderr, /ana's key from before, key_\w+2 at .* was not revoked/);
});

test('a password comes by standard input, never as an argument', async () => {
  await using double = await ApiDouble.start({ signInByPassword: () => ({ key: keyId, principal: ana }) });
  await using world = await CliWorld.make();
  const ran = await world.run(['login', '--password', 'ana', '--server', double.url], { stdin: 'correct horse\n' });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(sent<{ password: string }>(double.calls[0]).password, 'correct horse');
  assert.doesNotMatch(ran.stdout + ran.stderr, /correct horse/);
});

test('a key that others could read is refused; what the hint says helps, and so does signing in over it', async () => {
  await using double = await ApiDouble.start({ me: () => me, revokeKey: () => ({}), signInByLink: () => ({ key: keyId, principal: ana }) });
  await using world = await CliWorld.make();
  await world.signIn(double);
  await chmod(join(world.home, 'key.pem'), 0o644);
  const ran = await world.run(['whoami']);
  assert.equal(ran.code, 6);
  assert.match(ran.stderr, /can be read or changed by others \(mode 644\)\n.*chmod 600 .*key\.pem\. .*brevet logout: it revokes the key\. Sign in with a new link/);
  assert.deepEqual(double.calls, []);
  const over = await world.run(['login', `${double.url}/sign-in#${LINK_SECRET}`]);
  assert.equal(over.code, 0, over.stderr);
  assert.match(over.stderr, /it is replaced, and its key not revoked\. If that was yours: brevet keys, brevet revoke-key KEY/);
  assert.deepEqual([await mode(join(world.home, 'key.pem')), double.called('revokeKey').length], ['600', 0]);
  await chmod(join(world.home, 'key.pem'), 0o644);
  assert.equal((await world.run(['logout'])).code, 6);
  await chmod(join(world.home, 'key.pem'), 0o600);
  assert.equal((await world.run(['logout'])).code, 0);
  assert.equal(double.called('revokeKey').length, 1);
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
