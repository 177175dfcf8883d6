import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import type { TargetAccess } from '#app/ports/connector.ts';
import { makeId } from '#domain/id.ts';
import { linuxHost, noHost, yes } from '#test/worlds/linux-host.ts';
import { parseScope } from './scope.ts';
import { linuxConnector } from './connector.ts';

const connector = linuxConnector({
  installation: 'test', random: (n) => new Uint8Array(n).fill(7), now: () => new Date(), timeouts: { connect: 700, silence: 700, script: 2000 },
});
const KEY = ssh2.utils.generateKeyPairSync('ed25519');

function targetAt(port: number, more: Partial<TargetAccess> & { user?: string; hostKey?: string } = {}): TargetAccess {
  const config = connector.parseConfig({ host: '127.0.0.1', port, user: more.user ?? 'root', hostKeys: [more.hostKey ?? KEY.public] });
  return { id: makeId('target', 0, new Uint8Array(10)), name: 'host', credential: 'password', config, ...('credential' in more ? { credential: more.credential ?? null } : {}) };
}

test('C05 a host that hangs, closes, floods or drips is given up in time', { timeout: 60_000 }, async () => {
  const behaviours: Readonly<Record<string, (socket: Socket) => void>> = {
    hangs: () => undefined,
    closes: (socket) => socket.destroy(),
    'closes after its name': (socket) => socket.end('SSH-2.0-x\r\n'),
    floods: (socket) => void setInterval(() => socket.destroyed || socket.write(Buffer.alloc(1024 * 1024, 'x\n')), 1).unref(),
    drips: (socket) => void setInterval(() => socket.destroyed || socket.write('S'), 50).unref(),
    'speaks HTTP': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'sends escape sequences': (socket) => socket.end('SSH-2.0-\u001b]0;x\u0007\u001b[2J\r\n\u001b[31m'),
  };
  for (const [what, behave] of Object.entries(behaviours)) {
    const server = createServer((socket) => behave(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const began = performance.now();
    const target = targetAt((server.address() as AddressInfo).port);
    await assert.rejects(connector.listOwned(target), (error: Error & { code: string }) => {
      // eslint-disable-next-line no-control-regex
      return ['target_unreachable', 'target_refused'].includes(error.code) && !/[\u0000-\u001f]/.test(error.message);
    }, what);
    const probed = await connector.probe(target);
    assert.ok(probed.problem !== null && probed.skewMs === null, what);
    assert.ok(performance.now() - began < 5000, what);
    server.close();
  }
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address() as AddressInfo;
  nobody.close();
  await once(nobody, 'close');
  await assert.rejects(connector.listOwned(targetAt(port)), { code: 'target_unreachable' });
});

/** A host that lets everybody in and answers a command as it likes. */
async function hostile(answer: (channel: ssh2.ServerChannel) => void): Promise<{ readonly port: number; readonly passwords: string[]; close(): void }> {
  const passwords: string[] = [];
  const server = new ssh2.Server({ hostKeys: [KEY.private] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method === 'password') passwords.push(context.password);
      context.accept();
    });
    client.on('session', (accept) => accept().on('exec', (take) => answer(take().on('error', () => undefined) as ssh2.ServerChannel)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, passwords, close: () => void server.close() };
}

test('C05 a host whose answers hang, flood, lie or are no answers is believed nothing', { timeout: 60_000 }, async () => {
  const answers: Readonly<Record<string, (channel: ssh2.ServerChannel) => void>> = {
    'says nothing': () => undefined,
    'floods': (channel) => void setInterval(() => channel.writable && channel.write(Buffer.alloc(65_536, 'x')), 1).unref(),
    'drips': (channel) => void setInterval(() => channel.writable && channel.write('x'), 100).unref(),
    'ends at once': (channel) => (channel.exit(0), channel.end()),
    'fails': (channel) => (channel.stderr.write('sudo: a password is required\n'), channel.exit(1), channel.end()),
    'says it is done with what is not asked': (channel) => (channel.write('gone\tyes\nleft\taccounts\t1\ndone\t\t\n'), channel.exit(0), channel.end()),
  };
  for (const [what, answer] of Object.entries(answers)) {
    const host = await hostile(answer);
    const target = targetAt(host.port);
    const plan = {
      grant: makeId('grant', 0, new Uint8Array(10)), part: makeId('part', 0, new Uint8Array(10)), target, kind: 'ephemeral_account' as const, scope: parseScope('ephemeral_account', {}),
      objectName: `brevet_${makeId('grant', 0, new Uint8Array(10)).slice(4)}`, account: null, accountCredential: null, deadline: new Date(1e12), fence: 1, prior: null,
    };
    const began = performance.now();
    const taken = await connector.withdraw(plan).catch((error: Error & { code: string }) => error);
    if (taken instanceof Error) assert.match((taken as Error & { code: string }).code, /^target_/, what);
    else assert.equal(taken.gone, false, what);
    await assert.rejects(connector.provision(plan, yes), what);
    assert.ok(performance.now() - began < 18_000, `${what}: ${performance.now() - began}`);
    host.close();
  }
});

test('a host with another key is refused before anything is sent to it', { timeout: 30_000 }, async () => {
  const host = await hostile(() => undefined);
  const other = ssh2.utils.generateKeyPairSync('ed25519').public;
  await assert.rejects(connector.listOwned(targetAt(host.port, { hostKey: other })), (error: Error & { code: string; details: { facts?: Record<string, unknown> } }) => {
    return error.code === 'target_refused' && error.details.facts?.['hostKey'] === 'changed' && /SHA256:/.test(error.message);
  });
  const probed = await connector.probe(targetAt(host.port, { hostKey: other }));
  assert.deepEqual([probed.reachable, /not pinned/.test(probed.problem ?? '')], [true, true]);
  assert.deepEqual(host.passwords, []);
  host.close();
});

test('a configuration names its host keys, and nothing odd', () => {
  const good = { host: 'web1.example.com', user: 'brevet', hostKeys: [`${KEY.public} a comment`] };
  assert.deepEqual(connector.parseConfig(good), { ...good, hostKeys: [KEY.public.trim()], port: 22, homes: '/home', uids: { from: 70_000, to: 79_999 }, keysFolder: null });
  const odd = [
    { hostKeys: [] }, { hostKeys: ['ssh-ed25519 AAAA'] }, { hostKeys: ['ssh-rsa x'] }, { host: '-oProxyCommand=x' }, { host: '/run/sock' }, { host: 'a b' }, { user: '-l' }, { user: 'a;b' }, { user: 'ROOT' },
    { homes: 'home' }, { homes: '/home/../etc' }, { keysFolder: '/etc/ssh/%u' }, { uids: { from: 0, to: 10 } }, { password: 'x' },
  ];
  for (const more of odd) assert.throws(() => connector.parseConfig({ ...good, ...more }), { code: 'invalid_input' }, JSON.stringify(more));
  assert.ok(connector.samePlace({ host: 'a', port: 22, hostKeys: ['x'] }, { host: 'a', port: 22, hostKeys: ['y'] }));
  assert.ok(!connector.samePlace({ host: 'a', port: 22 }, { host: 'b', port: 22 }));
});

test('a real host: probe, what is missing, who is root by itself; a user with sudo, a password, a wrong key', { timeout: 400_000 }, async (t) => {
  if (noHost) return t.skip(noHost);
  await using host = await linuxHost({ settings: ['PasswordAuthentication yes'] });
  const before = await host.fingerprint();
  const probed = await host.connector.probe(host.target);
  assert.deepEqual([probed.reachable, probed.problem, Math.abs(probed.skewMs ?? 1e9) < 1000, /OpenSSH/.test(probed.version ?? '')], [true, null, true, true], JSON.stringify(probed));
  const shortfalls = (scope: object, more: { kind?: 'temporary_elevation'; account?: string } = {}) =>
    host.connector.shortfalls(host.target, { kind: more.kind ?? 'ephemeral_account', account: more.account ?? null, scope: host.connector.parseScope(more.kind ?? 'ephemeral_account', scope) });
  assert.deepEqual(await shortfalls({ sudo: ['/usr/bin/id'] }), []);
  assert.match((await shortfalls({ groups: ['brevet-none'] }))[0]?.message ?? '', /no group brevet-none/);
  assert.match((await shortfalls({ sudo: ['/usr/bin/not-there'] }))[0]?.message ?? '', /no program/);
  assert.match((await shortfalls({ sudo: ['/usr/bin/id'] }, { kind: 'temporary_elevation', account: 'nobody-here' }))[0]?.message ?? '', /no account/);
  const standing = await host.connector.listStanding(host.target);
  assert.ok(standing.some(({ account, privilege }) => account === '%sudo' && /ALL/.test(privilege)), JSON.stringify(standing));

  const key = await host.account('brevet-admin');
  const asUser = { ...host.target, credential: key, config: { ...host.target.config, user: 'brevet-admin' } };
  await assert.rejects(host.connector.listOwned(asUser), /may not act as root/);
  assert.match((await host.connector.shortfalls(asUser, { kind: 'ephemeral_account', account: null, scope: host.plan({}).scope }))[0]?.message ?? '', /may not act as root/);
  await host.root("printf 'brevet-admin ALL=(root) NOPASSWD: ALL\\n' > /etc/sudoers.d/test-admin; chmod 440 /etc/sudoers.d/test-admin; echo brevet-admin:of-admin-1 | chpasswd");
  const plan = { ...host.plan({ sudo: ['/usr/bin/id'] }), target: asUser };
  const { secret } = await host.connector.provision(plan, yes);
  assert.equal((await host.ssh(plan, secret ?? '', 'sudo -n /usr/bin/id')).code, 0);
  assert.equal((await host.connector.withdraw({ ...plan, target: { ...asUser, credential: 'of-admin-1' } })).gone, true);
  await host.root('rm /etc/sudoers.d/test-admin; userdel -rf brevet-admin 2>/dev/null');
  for (const credential of [null, 'wrong', key, '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----']) {
    await assert.rejects(host.connector.listOwned({ ...host.target, credential }), (error: Error & { code: string }) => error.code === 'target_refused' && !error.message.includes('wrong'));
  }
  assert.equal(await host.fingerprint(), before);
});
