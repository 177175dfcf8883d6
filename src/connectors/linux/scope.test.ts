import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginOf, objectOf } from './names.ts';
import { describe, within } from './scope-reach.ts';
import { parseScope, type Scope } from './scope.ts';
import { quote } from './host-script.ts';

const of = (scope: unknown) => parseScope('ephemeral_account', scope);

test('a scope is normalised: sorted, without doubles, with its defaults', () => {
  assert.deepEqual(of({ groups: ['b', 'a', 'b'], sudo: ['/usr/bin/systemctl restart nginx'] }), {
    groups: ['a', 'b'], sudo: ['/usr/bin/systemctl restart nginx'], sudoAs: 'root', allow: ['shell', 'exec'], localForward: [], remoteForward: [],
  });
  assert.deepEqual(of({ allow: ['sftp', 'exec'], dangerous: 'allowed' }).allow, ['exec', 'sftp']);
});

test('C03 C04 names and commands that would mean more than themselves are refused', () => {
  for (const group of ['', '-G', 'a,b', 'a b', 'a\nb', '%wheel', '!a', 'ALL', '#0', 'a:b', 'ä', 'a'.repeat(33), '../x', '$(id)', '`id`', 'a;b']) {
    assert.throws(() => of({ groups: [group] }), { code: 'invalid_input' }, group);
    assert.throws(() => of({ sudo: ['/usr/bin/id'], sudoAs: group }), { code: 'invalid_input' }, group);
  }
  const commands = [
    '', 'id', './id', '/usr/bin/../sbin/x', '/usr/bin/id *', '/usr/bin/*', '/usr/bin/[a-z]', '/usr/bin/id ?', '!/usr/bin/id', '/usr/bin/id\nALL', '/usr/bin/id, ALL', '/usr/bin/id ^a$',
    '/usr/bin/id "a b"', '/usr/bin/id \\', '/usr/bin/id  x', '/usr/bin/id ', ' /usr/bin/id', '/usr/bin/id #x', '/usr/bin/id $(x)', '/usr/bin/id a;b', '/usr/bin/cat /var/log/../../etc/shadow',
    'sudoedit /etc/x', 'sha256:abc /usr/bin/id', '@include', '/usr/bin/', '/', `/usr/bin/id ${'x'.repeat(500)}`,
  ];
  for (const command of commands) assert.throws(() => of({ sudo: [command] }), { code: 'invalid_input' }, command);
  for (const forward of ['a', 'a:0', 'a:b', '-a:1', 'a b:1', 'a":1', 'a,b:1']) assert.throws(() => of({ localForward: [forward] }), { code: 'invalid_input' }, forward);
  assert.throws(() => of({ users: ['x'] }), { code: 'invalid_input' });
  assert.equal(quote("it's"), String.raw`'it'\''s'`);
  for (const text of ['a\0b', 'a\u001bb', 'ä', 'a\tb', 'a\rb']) assert.throws(() => quote(text), { code: 'invalid_input' });
});

test('B15 what outlives or widens a grant is refused, unless it is declared; then reviewers are warned', () => {
  for (const group of ['sudo', 'wheel', 'admin', 'docker', 'disk', 'lxd', 'shadow', 'root', 'staff', 'libvirt', 'adm']) {
    assert.throws(() => of({ groups: [group] }), { code: 'dangerous_scope' }, group);
    assert.match(describe('ephemeral_account', of({ groups: [group], dangerous: 'allowed' })).join('\n'), /WARNING/);
  }
  const commands = [
    'ALL', '/bin/sh', '/bin/bash -c id', '/usr/bin/vim /etc/hosts', '/usr/bin/vim.tiny', '/usr/bin/less /var/log/syslog', '/usr/bin/python3 /opt/x.py', '/usr/bin/python3.11', '/usr/bin/perl5.36', '/usr/bin/find /var',
    '/usr/bin/env', '/usr/bin/tar xf x', '/usr/bin/cp a b', '/usr/bin/chmod 4755 x', '/usr/bin/apt-get install x', '/usr/bin/docker ps', '/usr/bin/systemctl status nginx', '/usr/bin/systemctl edit nginx',
    '/usr/bin/journalctl -u nginx', '/usr/sbin/useradd x', '/usr/bin/passwd ada', '/usr/sbin/visudo', '/usr/bin/crontab -l', '/srv/tool', '/tmp/x', '/usr/bin/git pull', '/usr/bin/tee /etc/x',
  ];
  for (const command of commands) assert.throws(() => of({ sudo: [command] }), { code: 'dangerous_scope' }, command);
  for (const command of ['/usr/bin/systemctl restart nginx', '/usr/bin/systemctl --no-pager status nginx', '/usr/bin/journalctl --no-pager -u nginx', '/usr/sbin/service nginx restart', '/usr/bin/id', '/opt/app/bin/deploy v1.2']) {
    assert.deepEqual(of({ sudo: [command] }).sudo, [command]);
  }
  const own = loginOf('brevet_01m80qatxrpbws6e566v9k764n') ?? '';
  assert.throws(() => of({ groups: [own], dangerous: 'allowed' }), { code: 'dangerous_scope' });
});

test('a kind takes what makes sense for it', () => {
  assert.throws(() => parseScope('brokered_session', { groups: ['a'] }), { code: 'invalid_input' });
  assert.throws(() => parseScope('temporary_elevation', {}), { code: 'invalid_input' });
  assert.throws(() => of({ allow: [] }), { code: 'invalid_input' });
  assert.throws(() => of({ sudoAs: 'www-data' }), { code: 'invalid_input' });
});

test('a narrower scope is within a wider one, and no other', () => {
  const wide = of({ groups: ['a', 'b'], sudo: ['/usr/bin/id', '/usr/bin/whoami'], allow: ['shell', 'exec'], localForward: ['db:*', '*:80'], remoteForward: ['8080'] });
  const holds = (scope: unknown) => within(of(scope) as Scope, wide);
  for (const scope of [{}, { groups: ['a'] }, { sudo: ['/usr/bin/id'] }, { localForward: ['db:5432', 'web:80'] }, { remoteForward: ['8080'], allow: ['exec'] }]) assert.ok(holds(scope), JSON.stringify(scope));
  const wider = [
    { groups: ['c'] }, { sudo: ['/usr/bin/uptime'] }, { sudo: ['/usr/bin/id'], sudoAs: 'www-data' }, { allow: ['sftp'] }, { localForward: ['web:81'] }, { localForward: ['*:5432'] }, { remoteForward: ['*'] }, { dangerous: 'allowed' },
  ];
  for (const scope of wider) assert.ok(!holds(scope), JSON.stringify(scope));
});

test('C02 the name of an account is the object\'s, one for one, within Linux\' 32 characters', () => {
  for (const object of ['brevet_01m80qatxrpbws6e566v9k764n', 'brevet_01m80qatxrpbws6e566v9k764n_1', 'brevet_71m80qatxrpbws6e566v9k764n_999']) {
    const login = loginOf(object) ?? '';
    assert.ok(login.length <= 32 && login.length > 0);
    assert.equal(objectOf(login), object);
  }
  for (const name of ['brevet_x', 'root', 'brevet_01m80qatxrpbws6e566v9k764n_0', 'brevet_01m80qatxrpbws6e566v9k764n\n', '']) assert.equal(loginOf(name), null);
});
