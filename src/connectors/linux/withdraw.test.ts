import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLEEING, linuxHost, noHost, until, yes } from '#test/worlds/linux-host.ts';
import { loginOf } from './names.ts';

test('B03 B15 shells, detached processes, jobs and files end with the account', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const plan = host.plan({});
  const login = loginOf(plan.objectName) ?? '';
  const { secret, evidence } = await host.connector.provision(plan, yes);
  const uid = String(evidence['uid']);
  const shell = await host.session(plan, secret ?? '', 'sleep 1000');
  const planted = await host.ssh(plan, secret ?? '', [
    'setsid nohup sleep 1001 >/dev/null 2>&1 & (nohup sh -c "trap : TERM HUP INT; while :; do sleep 1; done" >/dev/null 2>&1 &)',
    'echo "* * * * * touch /tmp/from-cron" | crontab -', 'echo "sleep 1" | at now + 1 hour',
    `cp /bin/sleep /tmp/${login}-tool; chmod 4755 /tmp/${login}-tool; mkdir -m 777 /dev/shm/${login}; echo x > /dev/shm/${login}/inner; ln -s /etc/passwd /tmp/${login}-link`,
  ].join('\n'));
  assert.equal(planted.code, 0, planted.stderr);
  await until(host, `test "$(pgrep -c -u ${uid})" -ge 5`);
  const passwd = await host.root('stat -c "%u %a" /etc/passwd');

  const taken = await host.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  await shell.ended;
  assert.equal(await host.living(uid), '');
  const kinds = taken.residue.map((one) => (one as { kind: string }).kind);
  assert.deepEqual([kinds.includes('job'), kinds.filter((kind) => kind === 'file').length], [true, 4], JSON.stringify(taken.residue));
  assert.equal(await host.root(`stat -c "%u %a" /tmp/${login}-tool /dev/shm/${login}`), '0 700\n0 700');
  assert.equal(await host.root('stat -c "%u %a" /etc/passwd'), passwd, 'a link was not followed');
  await host.root(`rm -rf /tmp/${login}-* /dev/shm/${login}`);
  assert.equal(await host.fingerprint(), before);
});

test('B10 processes that fork as fast as they can are ended', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const plan = host.plan({});
  const { secret, evidence } = await host.connector.provision(plan, yes);
  await host.ssh(plan, secret ?? '', FLEEING);
  assert.ok((await host.forks(500)) > 100, 'they do fork');
  const began = performance.now();
  const taken = await host.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  t.diagnostic(`ended ${String(taken.evidence['processesEnded'])} in ${Math.round(performance.now() - began)} ms`);
  assert.equal(await host.living(String(evidence['uid'])), '');
  assert.equal(await host.fingerprint(), before);
});

test('B10 an account that an operator renamed, locked, deleted, or took the records of', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const changes: Readonly<Record<string, (login: string) => string>> = {
    renamed: (login) => `sed -i s/^${login}:/brevet-renamed:/ /etc/passwd /etc/shadow`,
    locked: (login) => `usermod -L -e 1 -s /bin/false ${login}`,
    deleted: (login) => `userdel -f ${login} 2>&1`,
    'deleted with its home': (login) => `chattr -i /home/${login}/.ssh /home/${login}/.ssh/*; userdel -rf ${login} 2>&1`,
    'lost record': () => 'rm -rf /var/lib/brevet-grants/*',
    'lost rule and key': (login) => `rm -f /etc/sudoers.d/brevet_*; chattr -i /home/${login}/.ssh /home/${login}/.ssh/* ; rm -rf /home/${login}/.ssh`,
    'given another key': (login) => `chattr -i /home/${login}/.ssh /home/${login}/.ssh/*; echo ssh-ed25519 AAAA >> /home/${login}/.ssh/authorized_keys`,
    'given another number': (login) => `sed -i s/^${login}:x:[0-9]*/${login}:x:71499/ /etc/passwd`,
    'made a member of others': (login) => `gpasswd -a ${login} users`,
  };
  for (const [what, change] of Object.entries(changes)) {
    const plan = host.plan({ sudo: ['/usr/bin/id'] });
    const { secret, evidence } = await host.connector.provision(plan, yes);
    await host.ssh(plan, secret ?? '', 'setsid sleep 1000 >/dev/null 2>&1 &');
    await host.root(change(loginOf(plan.objectName) ?? ''));
    const taken = await host.connector.withdraw(plan);
    assert.equal(taken.gone, true, `${what}: ${JSON.stringify(taken)}`);
    assert.equal(JSON.stringify(taken.residue).includes('keys_changed'), what === 'given another key', what);
    assert.equal(await host.living(String(evidence['uid'])), '', what);
    assert.equal(await host.fingerprint(), before, what);
  }
});

test('an account of the same name that is not Brevet\'s is never taken over and never removed', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const plan = host.plan({});
  const login = loginOf(plan.objectName) ?? '';
  await host.account(login);
  const before = await host.fingerprint();
  await assert.rejects(host.connector.provision(plan, yes), /is not of this part/);
  const taken = await host.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue], [false, [{ kind: 'unmarked_account', name: login }]]);
  assert.deepEqual(await host.connector.listOwned(host.target), []);
  assert.equal((await host.connector.removeOwned(host.target, plan.objectName)).gone, false);
  assert.equal((await host.connector.removeOwned(host.target, 'root')).gone, false);
  assert.equal(await host.fingerprint(), before);
});

test('B10 deleted and made again by an operator: what ran as Brevet\'s ends, the new account is left alone and told', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const plan = host.plan({});
  const login = loginOf(plan.objectName) ?? '';
  const { secret, evidence } = await host.connector.provision(plan, yes);
  await host.ssh(plan, secret ?? '', 'setsid sleep 1000 >/dev/null 2>&1 &');
  await host.root(`userdel -f ${login} 2>/dev/null; useradd -M -u 1777 -p '*' ${login}`);
  const taken = await host.connector.withdraw(plan);
  assert.deepEqual([taken.gone, taken.residue], [false, [{ kind: 'unmarked_account', name: login }]]);
  assert.equal(await host.living(String(evidence['uid'])), '');
  assert.equal(await host.root(`id -u ${login}`), '1777');
  await host.root(`userdel ${login}`);
  assert.equal((await host.connector.withdraw(plan)).gone, true, 'once the operator has seen to it');
  assert.equal(await host.fingerprint(), before);
});

test('the sweeper finds and removes what is this Brevet\'s, also without its record, and nobody else\'s', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const [plan, lost, theirs] = [host.plan({ sudo: ['/usr/bin/id'] }), host.plan({}), host.plan({})];
  const other = host.connectorOf('anotherbrevet');
  await host.connector.provision(lost, yes);
  await host.root('rm -rf /var/lib/brevet-grants/*');
  await host.connector.provision(plan, yes);
  await other.provision(theirs, yes);
  const owned = await host.connector.listOwned(host.target);
  assert.deepEqual(owned.map(({ name }) => name).toSorted(), [plan.objectName, lost.objectName].toSorted());
  assert.equal(owned.find(({ name }) => name === plan.objectName)?.validUntil?.getTime(), plan.deadline.getTime());
  assert.equal((await host.connector.removeOwned(host.target, theirs.objectName)).gone, false);
  for (const { name } of owned) assert.equal((await host.connector.removeOwned(host.target, name)).gone, true);
  assert.equal((await other.removeOwned(host.target, theirs.objectName)).gone, true);
  assert.equal(await host.fingerprint(), before);
});
