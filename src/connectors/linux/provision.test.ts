import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linuxHost, noHost, yes } from '#test/worlds/linux-host.ts';
import { loginOf } from './names.ts';

const SCOPE = { groups: ['brevet-team'], sudo: ['/usr/bin/id -u', '/usr/bin/whoami'], allow: ['shell', 'exec', 'sftp'] };

test('an account comes, works with ssh and sudo, and goes without a trace', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const plan = host.plan(SCOPE);
  const login = loginOf(plan.objectName) ?? '';
  const { secret, evidence } = await host.connector.provision(plan, yes);
  assert.ok(secret);
  assert.ok(!JSON.stringify(evidence).includes('PRIVATE'));
  const seen = await host.ssh(plan, secret, 'id -un; id -Gn; sudo -n /usr/bin/id -u; sudo -n /usr/bin/whoami; sudo -n -l; touch ~/mine; echo $HOME');
  assert.match(seen.stdout, new RegExp(`^${login}\n${login} brevet-team\n0\nroot\n`), JSON.stringify(seen));
  assert.match(seen.stdout, /NOTAFTER=\d{14}Z NOPASSWD: \/usr\/bin\/id -u/);
  assert.equal((await host.ssh(plan, secret, 'sudo -n /usr/bin/id')).code, 1, 'other arguments');
  assert.equal((await host.ssh(plan, secret, 'sudo -n /usr/bin/whoami x')).code, 1, 'no arguments were granted');
  assert.equal((await host.ssh(plan, secret, 'echo x >> ~/.ssh/authorized_keys || mv ~/.ssh ~/other')).code, 1, 'its keys are not its own to change');
  const [row = ''] = (await host.root(`getent passwd ${login}`)).split('\n');
  assert.match(row, new RegExp(`^${login}:x:71\\d\\d\\d:71\\d\\d\\d:brevet of=${host.installation} grant=${plan.grant} part=${plan.part}:/home/${login}:/bin/bash$`));
  assert.match(await host.root(`chage -l ${login} | grep 'Account expires'`), /20\d\d$/);
  assert.deepEqual((await host.connector.listOwned(host.target)).map(({ name }) => name), [plan.objectName]);

  const taken = await host.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue], [true, []], JSON.stringify(taken));
  assert.equal(await host.fingerprint(), before);
  assert.match((await host.ssh(plan, secret, 'true')).stderr, /Permission denied/);
  assert.equal((await host.connector.withdraw(plan)).gone, true, 'what is gone is gone');
});

test('B12 twice is one account, with a new key; two at once as well; a worker that lost its claim changes nothing', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const plan = host.plan(SCOPE);
  await assert.rejects(host.connector.provision(plan, () => Promise.resolve(false)), { code: 'conflict' });
  assert.equal(await host.fingerprint(), before);

  const first = await host.connector.provision(plan, yes);
  const second = await host.connector.provision({ ...plan, fence: 2 }, yes);
  assert.equal(first.evidence['uid'], second.evidence['uid']);
  assert.equal((await host.ssh(plan, first.secret ?? '', 'true')).code, 255, 'the first key is no more');
  assert.equal((await host.ssh(plan, second.secret ?? '', 'true')).code, 0);
  await assert.rejects(host.connector.provision(plan, yes), { code: 'conflict' }, 'a lower fence');

  const others = [host.plan(SCOPE), host.plan({ groups: [] })];
  await Promise.all([...others, others[0] ?? plan].map((one) => host.connector.provision(one, yes)));
  await Promise.all([plan, ...others, plan].map(async (one) => assert.equal((await host.connector.withdraw(one)).gone, true)));
  assert.equal(await host.fingerprint(), before);
});

test('a scope made smaller takes away what it no longer holds', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const plan = host.plan(SCOPE);
  await host.connector.provision(plan, yes);
  const { secret } = await host.connector.provision({ ...plan, fence: 2, scope: host.connector.parseScope('ephemeral_account', {}) }, yes);
  const seen = await host.ssh(plan, secret ?? '', 'id -Gn; sudo -n /usr/bin/id -u');
  assert.deepEqual([seen.stdout.trim(), seen.code], [loginOf(plan.objectName), 1]);
  assert.equal((await host.connector.withdraw(plan)).gone, true);
  assert.equal(await host.fingerprint(), before);
});

test('keys in a folder of root\'s own, where the target has sshd look for them', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  const keysFolder = `/run/brevet-test-keys-${process.pid}`;
  await using host = await linuxHost({ config: { keysFolder } });
  const before = await host.fingerprint();
  const plan = host.plan({});
  const login = loginOf(plan.objectName) ?? '';
  const { secret } = await host.connector.provision(plan, yes);
  assert.match(await host.root(`stat -c '%U %a' ${keysFolder}/${login}; cat ${keysFolder}/${login}`), /^root 644\nrestrict,pty,expiry-time="\d{14}Z" ssh-ed25519 /);
  assert.equal((await host.ssh(plan, secret ?? '', 'mkdir ~/.ssh; echo x > ~/.ssh/authorized_keys')).code, 0, 'which counts for nothing');
  assert.deepEqual(await host.connector.shortfalls(host.target, { kind: plan.kind, account: null, scope: plan.scope }).then((found) => found.map(({ message }) => /sshd looks for keys in/.test(message))), [true], 'the machine\'s own sshd looks elsewhere');
  const taken = await host.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue, await host.root(`ls -A ${keysFolder}`)], [true, [], '']);
  await host.root(`rm -r ${keysFolder}`);
  assert.equal(await host.fingerprint(), before);
});

test('permits of the connection hold in sshd itself: sftp alone, forwarding only where it was named', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const forwarding = host.plan({ allow: ['exec'], localForward: [`127.0.0.1:${host.sshd.port}`] });
  const made = await host.connector.provision(forwarding, yes);
  const key = await host.folder.write('forwarding', made.secret ?? '');
  const line = `ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentityAgent=none -i ${key} -p ${host.sshd.port} -l ${loginOf(forwarding.objectName)} 127.0.0.1`;
  const through = (to: string) => host.root(`sleep 1 | timeout 10 ${line} -W ${to} 2>&1`).catch((error: { stdout: string }) => error.stdout);
  assert.match(await through(`127.0.0.1:${host.sshd.port}`), /^SSH-2.0/m);
  assert.match(await through('127.0.0.1:1'), /prohibited/);
  assert.match((await host.ssh(forwarding, made.secret ?? '', 'true', ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1'])).stderr, /forwarding failed/);
  const files = host.plan({ allow: ['sftp'] });
  const { secret } = await host.connector.provision(files, yes);
  assert.doesNotMatch((await host.ssh(files, secret ?? '', 'id')).stdout, /uid/);
  for (const plan of [forwarding, files]) assert.equal((await host.connector.withdraw(plan)).gone, true);
  assert.equal(await host.fingerprint(), before);
});
