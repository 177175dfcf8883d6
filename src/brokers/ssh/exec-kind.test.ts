import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { execKind } from './exec-kind.ts';

test('commands that carry files are recognised', () => {
  assert.deepEqual(execKind('scp -t /tmp/a b'), { program: 'scp', way: 'to target', path: '/tmp/a b' });
  assert.deepEqual(execKind('scp -r -p -f -- \'/srv/x y\''), { program: 'scp', way: 'from target', path: '/srv/x y' });
  assert.deepEqual(execKind('/usr/bin/scp -v -d -t .'), { program: 'scp', way: 'to target', path: '.' });
  assert.deepEqual(execKind('rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv/'), { program: 'rsync', way: 'from target' });
  assert.deepEqual(execKind('rsync --server -vlogDtpre.iLsfxCIvu . /srv/'), { program: 'rsync', way: 'to target' });
  assert.deepEqual(execKind('git-upload-pack \'/srv/shop.git\''), { program: 'git', way: 'from target', path: '/srv/shop.git' });
  assert.deepEqual(execKind('git receive-pack "shop.git"'), { program: 'git', way: 'to target', path: 'shop.git' });
  assert.deepEqual(execKind('/usr/lib/openssh/sftp-server'), { program: 'sftp' });
});

test('D01 what a shell would make more of is not believed', () => {
  for (const command of [
    'scp -t /tmp; id', 'scp -t /tmp && id', 'scp -t $(id)', 'scp -t `id`', 'scp -t x | sh', 'scp -t x > y', 'scp -t x\nid', 'scp -t "$(id)"', 'scp -t \'x', 'scp -S id -t x', 'scp -tf x', 'scp -t',
    'scp a host:b', 'rsync a b', 'git clone x', 'git-upload-pack', 'scpx -t x', '', '   ', 'sh -c \'scp -t x\'', 'scp -t x # id', 'scp -oProxyCommand=id -t x',
  ]) assert.deepEqual(execKind(command), { program: 'other' }, command);
});

test('any command is read, or is another', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom('scp', ' ', '-t', '-f', '\'', '"', '\\', ';', '$', '\n', 'a', '--', 'rsync', '--server')), (words) => {
    const kind = execKind(words.join(''));
    if (kind.program === 'scp') assert.doesNotMatch(words.join('').replaceAll(/'[^']*'|"[^"]*"|\\[^]/g, ''), /[;$\n]/);
  }));
});
