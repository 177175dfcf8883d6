import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartPlan } from '#app/ports/connector.ts';
import { FLEEING, linuxHost, noHost, until, yes, type LinuxHost } from '#test/worlds/linux-host.ts';

const ADA = 'brevet-ada';

async function raised(host: LinuxHost, scope: { groups?: string[]; sudo?: string[]; dangerous?: 'allowed' }): Promise<PartPlan> {
  const bare = host.plan(scope, { kind: 'temporary_elevation', account: ADA });
  const plan = { ...bare, prior: await host.connector.prepare(bare) };
  await host.connector.provision(plan, yes);
  return plan;
}

test('B03 an account is raised by group and rule; afterwards it is what it was, and what holds the group has ended', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const key = await host.account(ADA);
  for (const group of ['brevet-team', 'brevet-own']) await host.group(group);
  await host.root(`gpasswd -a ${ADA} brevet-own`);
  const before = await host.fingerprint();
  const plain = await host.session(ADA, key, 'sleep 1000');
  const plan = await raised(host, { groups: ['brevet-own', 'brevet-team'], sudo: ['/usr/bin/sleep 1003'] });
  assert.match((await host.ssh(ADA, key, 'id -Gn')).stdout, /brevet-team/);
  const holding = await host.session(ADA, key, 'setsid sleep 1001 & cp /bin/true ~/kept; chgrp brevet-team ~/kept; chmod g+s ~/kept; sleep 1002');
  const asRoot = await host.session(ADA, key, 'sudo -n /usr/bin/sleep 1003');
  await until(host, 'pgrep -xf "/usr/bin/sleep 1003" -u 0 && test -g /home/brevet-ada/kept');

  const taken = await host.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  await Promise.all([holding.ended, asRoot.ended]);
  assert.equal(await host.root('ps -eo stat=,args= | grep "sleep 100[123]" | grep -vE "^Z|grep" || true'), '');
  assert.equal(plain.child.exitCode, null, 'a session from before goes on');
  assert.match(JSON.stringify(taken.residue), /set_group_id.*kept/);
  await host.root('test ! -g /home/brevet-ada/kept');
  assert.equal(await host.fingerprint(), before);
  assert.equal((await host.connector.withdraw(plan)).gone, true);
});

test('B10 processes with the group that fork as fast as they can', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const key = await host.account(ADA);
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const plan = await raised(host, { groups: ['brevet-team'] });
  await host.ssh(ADA, key, FLEEING);
  assert.ok((await host.forks(500)) > 100, 'they do fork');
  const taken = await host.connector.withdraw(plan);
  assert.equal(taken.gone, true, JSON.stringify(taken));
  assert.equal(await host.living(ADA), '');
  assert.equal(await host.fingerprint(), before);
});

test('two grants that lend one group to one account: it goes with the last', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const key = await host.account(ADA);
  await host.group('brevet-team');
  const before = await host.fingerprint();
  const first = await raised(host, { groups: ['brevet-team'] });
  const second = await raised(host, { groups: ['brevet-team'], sudo: ['/usr/bin/id'] });
  assert.equal((await host.connector.withdraw(first)).gone, true);
  assert.match((await host.ssh(ADA, key, 'id -Gn; sudo -n /usr/bin/id')).stdout, /brevet-team\nuid=0/);
  assert.equal((await host.connector.withdraw(second)).gone, true);
  assert.equal(await host.fingerprint(), before);
});

test('B10 an account that an operator renamed or deleted meanwhile; the sweeper lowers what nobody knows', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.group('brevet-team');
  const empty = await host.fingerprint();
  await host.account(ADA);
  const before = await host.fingerprint();
  const swept = await raised(host, { groups: ['brevet-team'], sudo: ['/usr/bin/id'] });
  assert.deepEqual((await host.connector.listOwned(host.target)).map(({ name }) => name), [swept.objectName]);
  assert.equal((await host.connector.removeOwned(host.target, swept.objectName)).gone, true);
  assert.equal(await host.fingerprint(), before);

  const renamed = await raised(host, { groups: ['brevet-team'], sudo: ['/usr/bin/id'] });
  await host.root(`usermod -l brevet-eve ${ADA}`);
  assert.equal((await host.connector.withdraw(renamed)).gone, true);
  await host.root(`usermod -l ${ADA} brevet-eve`);
  assert.equal(await host.fingerprint(), before);

  const deleted = await raised(host, { groups: ['brevet-team'], sudo: ['/usr/bin/id'] });
  await host.root(`userdel -r ${ADA} 2>/dev/null`);
  assert.equal((await host.connector.withdraw(deleted)).gone, true);
  assert.equal(await host.fingerprint(), empty);
});

test('root, Brevet\'s own account, its grants\' accounts and strangers can\'t be raised', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.root('useradd -o -u 0 -M -N brevet-toor');
  t.after(() => host.root('sed -i /^brevet-toor:/d /etc/passwd /etc/shadow /etc/subuid /etc/subgid'));
  for (const account of ['root', 'brevet-toor', 'nobody-at-all', '-oProxyCommand=x', 'a;b', '']) {
    const plan = host.plan({ sudo: ['/usr/bin/id'] }, { kind: 'temporary_elevation', account });
    await assert.rejects(host.connector.prepare(plan), account);
  }
});
