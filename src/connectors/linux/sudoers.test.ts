import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'node:test';
import type { PartPlan } from '#app/ports/connector.ts';
import { linuxHost, noHost, yes } from '#test/worlds/linux-host.ts';
import { parseScope } from './scope.ts';
import { sudoersFile, sudoTime } from './sudoers.ts';

const plan = { grant: 'grt_01m80qatxrpbws6e566v9k764n', part: 'prt_01m80qatxrpbws6e566v9k764n', fence: 3, deadline: new Date('2026-11-28T23:15:00.999Z') } as unknown as PartPlan;

test('B06 C04 a rule names its end in UTC, once for each command, and what sudoers would read is escaped', () => {
  const scope = parseScope('ephemeral_account', { sudo: ['/usr/bin/id', '/opt/app/bin/deploy --to=web,db http://x'] });
  assert.equal(sudoersFile(plan, 'ada', scope, 'here'), [
    '# brevet of=here grant=grt_01m80qatxrpbws6e566v9k764n part=prt_01m80qatxrpbws6e566v9k764n fence=3',
    String.raw`ada ALL=(root) NOTAFTER=20261128231500Z NOPASSWD: /opt/app/bin/deploy --to\=web\,db http\://x`,
    'ada ALL=(root) NOTAFTER=20261128231500Z NOPASSWD: /usr/bin/id ""', '',
  ].join('\n'));
});

test('B06 sudo itself refuses after the end, whatever time zone its caller sets', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  const before = await host.fingerprint();
  const grant = host.plan({ sudo: ['/usr/bin/id -u'] }, { deadline: new Date(Date.now() + 4000) });
  const { secret } = await host.connector.provision(grant, yes);
  const session = (command: string) => host.ssh(grant, secret ?? '', command);
  // One session from before the end: no new sign-in is let in after it.
  const seen = await session('sudo -n /usr/bin/id -u; sleep 4; for zone in UTC Pacific/Kiritimati Etc/GMT+12 Nowhere/Else; do TZ=$zone sudo -n /usr/bin/id -u || echo refused; done');
  assert.deepEqual(seen.stdout.trim().split('\n'), ['0', 'refused', 'refused', 'refused', 'refused'], seen.stderr);
  assert.equal((await session('true')).code, 255, 'the key has ended too, by sshd\'s own clock');
  assert.equal((await host.connector.withdraw(grant)).gone, true);
  assert.equal(await host.fingerprint(), before);
});

test('C04 what visudo refuses never gets where sudo reads, and sudo goes on working', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  // A visudo that finds fault with everything, and one that finds it only once the rule is in place.
  for (const fault of ['exit 1', 'for one; do :; done; test -f "$one" && exit 0; ls /etc/sudoers.d/brevet_*[!w] >/dev/null 2>&1 && exit 1; exit 0']) {
    const before = await host.fingerprint();
    await host.root(`mv /usr/sbin/visudo /usr/sbin/visudo.real; printf '#!/bin/sh\\n%s\\n' '${fault}' > /usr/sbin/visudo; chmod 755 /usr/sbin/visudo`);
    const grant = host.plan({ sudo: ['/usr/bin/id'] });
    try {
      await assert.rejects(host.connector.provision(grant, yes), /visudo refuses/);
      assert.equal(await host.root('ls /etc/sudoers.d'), 'README');
      await promisify(execFile)('sudo', ['-n', 'true']);
    } finally {
      await host.root('mv /usr/sbin/visudo.real /usr/sbin/visudo');
    }
    assert.equal((await host.connector.withdraw(grant)).gone, true);
    assert.equal(await host.fingerprint(), before);
  }
});

test('C04 a command that others than root could change is refused', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost();
  await host.root('install -d -m 777 /opt/brevet-open && install -m 755 /bin/true /opt/brevet-open/tool && install -m 777 /bin/true /opt/brevet-tool');
  try {
    for (const command of ['/opt/brevet-open/tool', '/opt/brevet-tool', '/usr/bin/not-there', '/usr/bin']) {
      await assert.rejects(host.connector.provision(host.plan({ sudo: [command], dangerous: 'allowed' }), yes), { code: 'target_refused' }, command);
    }
  } finally {
    await host.root('rm -rf /opt/brevet-open /opt/brevet-tool');
  }
  assert.equal(sudoTime(new Date('2030-01-02T03:04:05Z')), '20300102030405Z');
});
