/** Who is not let in by the SSH broker, whatever they show; targets that are not what they were; the gate gone; floods. */
import assert from 'node:assert/strict';
import { randomBytes, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, afterEach, before, test as bare } from 'node:test';
import type { ClientChannel } from 'ssh2';
import { authorityOf } from '#contract/ssh/sign-certificate.ts';
import { makeId } from '#domain/id.ts';
import { until } from '#test/worlds/broker-world.ts';
import { signsAs } from '#test/worlds/certified-client.ts';
import { startSshBrokerWorld, type RunResult, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);

let world: SshBrokerWorld;
let honest: SshBrokerWorld['gate']['terms'];

before(async () => {
  world = await startSshBrokerWorld(undefined, { stepMs: 1000, proofMs: 2500, perAddress: 20, total: 30 });
  honest = world.gate.terms;
  await world.folder.keygen('other', '-t', 'ed25519');
  await world.folder.write('other-config', (await world.folder.read('config')).replace(/IdentityFile .*/, `IdentityFile ${world.folder.at('other')}`));
});
afterEach(async () => {
  Object.assign(world.gate, { terms: honest, decide: null });
  await until(async () => (await world.connections()) === 0, 'no connection to the target');
});
after(() => world[Symbol.asyncDispose]());

const connectWith = (command = 'echo in') => world.run('ssh', ['-F', world.folder.at('other-config'), 'target', command]);

/** Refused, and the gate was not even asked. */
function refusedAtTheDoor(ran: RunResult, asked: number): void {
  assert.deepEqual([ran.code, ran.stdout.toString()], [255, '']);
  assert.match(ran.stderr, /Permission denied \(publickey\)/);
  assert.equal(world.gate.asked.length, asked);
}

test('A12 a certificate that has expired, is not valid yet, of another authority, for somebody else, or restricted opens nothing', async () => {
  const now = Date.now();
  const stranger = authorityOf(generateKeyPairSync('ed25519').privateKey);
  const trials: readonly (readonly [string, Parameters<SshBrokerWorld['certify']>, RegExp | null])[] = [
    ['expired', ['other', { validAfter: new Date(now - 120_000), validBefore: new Date(now - 60_000) }], /Brevet: this certificate has expired/],
    ['not yet', ['other', { validAfter: new Date(now + 60_000), validBefore: new Date(now + 120_000) }], /Brevet: this certificate is not valid yet/],
    ['another authority', ['other', {}, stranger], null],
    ['a role on targets', ['other', { principals: ['root'] }], /not for signing in here/],
    ['two principals', ['other', { principals: [world.principal, makeId('person', now, randomBytes(10))] }], /not for signing in here/],
    ['another address', ['other', { sourceAddresses: ['192.0.2.0/24'] }], /does not allow that/],
    ['one command', ['other', { forceCommand: 'true' }], /does not allow that/],
  ];
  for (const [what, certificate, words] of trials) {
    await world.certify(...certificate);
    const asked = world.gate.asked.length;
    const ran = await connectWith();
    refusedAtTheDoor(ran, asked);
    if (words) assert.match(ran.stderr, words, what);
    else assert.doesNotMatch(ran.stderr, /Brevet/, what);
  }
  await world.certify('other');
  assert.equal((await connectWith()).stdout.toString(), 'in\n');
  await world.certify('other', { principals: [makeId('person', now, randomBytes(10))] });
  const unknown = await connectWith();
  assert.equal(unknown.code, 255);
  assert.match(unknown.stderr, /Brevet: nobody has this certificate/);
});

test('A12 a stolen certificate without its key, a key without a certificate, a password: nothing', async () => {
  await world.folder.keygen('thief', '-t', 'ed25519');
  await world.certify('other');
  await world.folder.write('thief-cert.pub', await world.folder.read('other-cert.pub'));
  const flags = ['-F', world.folder.at('bare-config')];
  await world.folder.write('bare-config', (await world.folder.read('config')).replace(/IdentityFile .*\n/, ''));
  const asked = world.gate.asked.length;
  // ssh itself would notice that they do not belong together: ssh2 signs with the thief's key under the stolen certificate.
  refusedAtTheDoor(await world.run('ssh', [...flags, '-i', world.folder.at('thief'), '-o', `CertificateFile=${world.folder.at('other-cert.pub')}`, 'target', 'true']), asked);
  await assert.rejects(signsAs(world.broker.port, await world.folder.read('thief'), await world.folder.read('other-cert.pub')), /authentication methods failed/);
  assert.equal(world.gate.asked.length, asked);
  const owner = await signsAs(world.broker.port, await world.folder.read('other'), await world.folder.read('other-cert.pub'));
  owner.end();
  await until(() => world.gate.ends.length === world.gate.tickets.length, 'the end of the owner\'s session');
});

test('what the gate refuses is said in its words, and nothing of the target is touched before it has said yes', async () => {
  let connections = -1;
  world.gate.decide = async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    connections = await world.connections();
    return { refused: 'no_active_grant', message: 'you hold no active grant on "orders-host"', hint: null };
  };
  const ran = await world.ssh(['target', 'true']);
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /Brevet: you hold no active grant on "orders-host"\r?\nAsk for it: brevet request ENTITLEMENT/);
  assert.equal(connections, 0);
});

test('a wait for an approval is kept company, and given up with the client', async () => {
  let aborted = false;
  world.gate.decide = (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => {
    aborted = true;
    resolve({ refused: 'unavailable', message: 'given up', hint: null });
  }));
  const child = world.spawnSsh(['-l', 'orders-host+wait=60', 'target', 'true']);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  await until(() => /Brevet: waiting up to 60 seconds for the approval of "orders-host"/.test(stderr), 'company');
  child.kill();
  await until(() => aborted, 'the gate to hear of it');
});

test('a gate that fails lets nobody in', async () => {
  world.gate.decide = () => Promise.reject(new Error('down'));
  const ran = await world.ssh(['target', 'true']);
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /Brevet: no decision could be had/);
});

test('a target with another host key than it was enrolled with is refused, and it is told', async () => {
  await world.folder.keygen('foreign', '-t', 'ed25519');
  await world.folder.keygen('foreign-ecdsa', '-t', 'ecdsa');
  const { upstream } = honest;
  for (const name of ['foreign', 'foreign-ecdsa']) {
    const before = world.log.length;
    world.gate.terms = { ...honest, upstream: { ...upstream, hostKeys: [(await world.folder.read(`${name}.pub`)).trim()] } };
    const ran = await world.ssh(['target', 'true']);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /Brevet: the target's host key is not the one that it was enrolled with/);
    assert.match(world.log.slice(before).join('\n'), /^error a target shows another host key/);
    await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
    assert.equal(world.gate.ends.at(-1)?.reason, 'failed_to_start');
  }
  // Among several pinned keys it is enough that one is shown.
  world.gate.terms = { ...honest, upstream: { ...upstream, hostKeys: [(await world.folder.read('foreign-ecdsa.pub')).trim(), ...upstream.hostKeys] } };
  assert.equal((await world.ssh(['target', 'echo in'])).stdout.toString(), 'in\n');
});

test('C05 targets that refuse the account, hang, say nonsense, or are not there: in words, in time, without names', async () => {
  const sockets = new Set<Socket>();
  const serve = async (behave: (socket: Socket) => void) => {
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      behave(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  const nonsense = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(20_000)));
  const silent = await serve((socket) => socket.write('SSH-2.0-silent\r\n'));
  const closed = await serve(() => undefined);
  const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  const gone = portOf(closed);
  closed.close();
  await once(closed, 'close');
  const trials = [
    [{ hostKeys: ['nonsense'] }, /a host key of the target can not be read/],
    [{ auth: { by: 'key', privateKey: '-----BEGIN PRIVATE KEY-----\nwrong\n' } as const }, /key for the target can not be read/],
    [{ user: 'nobody-here' }, /does not accept Brevet's sign-in/],
    [{ auth: { by: 'password', password: 'wrong' } as const }, /does not accept Brevet's sign-in/],
    [{ port: gone }, /the target does not answer/],
    [{ port: portOf(nonsense) }, /the target does not (?:answer|speak SSH)/],
    [{ port: portOf(silent) }, /the target does not (?:answer|speak SSH)/],
  ] as const;
  for (const [changed, words] of trials) {
    world.gate.terms = { ...honest, upstream: { ...honest.upstream, ...changed } };
    const ran = await world.ssh(['target', 'true']);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, words);
    assert.doesNotMatch(ran.stderr, /nobody-here|wrong/);
  }
  for (const socket of sockets) socket.destroy();
  nonsense.close();
  silent.close();
});

test('a target that hangs up in mid-session ends it, in words', async () => {
  const ran = await world.ssh(['target', 'echo in; sleep 1; kill -9 $PPID; sleep 5']);
  assert.deepEqual([ran.code, ran.stdout.toString()], [255, 'in\n']);
  assert.match(ran.stderr, /Brevet: the target has closed the connection/);
  await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
  assert.equal(world.gate.ends.at(-1)?.reason, 'target_closed');
});

test('a target that starts no more programs says so on the one that it does not start', async () => {
  const client = await signsAs(world.broker.port, await world.folder.read('key'), await world.folder.read('key-cert.pub'));
  const words = await Promise.all(Array.from({ length: 110 }, () => new Promise<string>((resolve, reject) => client.exec('sleep 1', (error, channel) => {
    if (error) return reject(error);
    let text = '';
    channel.resume().stderr.on('data', (bytes: Buffer) => (text += bytes.toString()));
    channel.on('close', () => resolve(text));
  }))));
  // Its MaxSessions is 100.
  assert.deepEqual(words.filter((text) => text !== '').map((text) => text.trim()), Array.from({ length: 10 }, () => 'Brevet: the target does not start it'));
  client.end();
  await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
});

test('H01 connections that say little are few and short, and others get in meanwhile', async () => {
  const sockets = Array.from({ length: 60 }, (_, n) => {
    const socket = connect(world.broker.port, '127.0.0.1').on('error', () => undefined);
    if (n % 3 === 1) socket.write('SSH-2.0-half');
    if (n % 3 === 2) socket.write('SSH-2.0-open\r\n');
    return socket.resume();
  });
  await until(() => world.broker.load.halfOpen >= 15, 'the flood');
  assert.ok(world.broker.load.halfOpen <= 20);
  await Promise.all(sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve))));
  await until(() => world.broker.load.halfOpen === 0, 'the end of the flood');
  assert.equal((await world.ssh(['target', 'echo in'])).stdout.toString(), 'in\n');
});

test('H01 who tries one key after the other is shown the door', async () => {
  const names = Array.from({ length: 25 }, (_, n) => `many-${n}`);
  for (const name of names) await world.folder.keygen(name, '-t', 'ed25519');
  await world.folder.write('many-config', (await world.folder.read('config')).replace(/IdentityFile .*/, ''));
  const ran = await world.run('ssh', ['-F', world.folder.at('many-config'), ...names.flatMap((name) => ['-i', world.folder.at(name)]), '-i', world.folder.at('key'), 'target', 'true']);
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /too many attempts to sign in/);
});

test('who sends more than the window has room for, to a program that does not read, is ended', async () => {
  const client = await signsAs(world.broker.port, await world.folder.read('key'), await world.folder.read('key-cert.pub'));
  const channel = await new Promise<ClientChannel>((resolve, reject) => client.exec('sleep 60', (error, opened) => (error ? reject(error) : resolve(opened))));
  const protocol = Reflect.get(client, '_protocol') as { channelData(channel: number, bytes: Buffer): void };
  const { id } = channel.outgoing as { id: number };
  const closed = once(client, 'close');
  for (let sent = 0; sent < 16_000_000; sent += 32_000) protocol.channelData(id, Buffer.alloc(32_000));
  await closed;
  await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
  assert.equal(world.gate.ends.at(-1)?.reason, 'client_closed');
});

test('a client that opens a window of 4 GiB and does not read holds the program back, not the broker\'s memory', async () => {
  const client = await signsAs(world.broker.port, await world.folder.read('key'), await world.folder.read('key-cert.pub'));
  const channel = await new Promise<ClientChannel>((resolve, reject) => client.exec('cat /dev/zero', (error, opened) => (error ? reject(error) : resolve(opened))));
  const protocol = Reflect.get(client, '_protocol') as { channelWindowAdjust(channel: number, amount: number): void };
  protocol.channelWindowAdjust((channel.outgoing as { id: number }).id, 2 ** 32 - 2 ** 22);
  channel.pause();
  (Reflect.get(client, '_sock') as Socket).pause();
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 60, `${Math.round(grown)} MB more`);
  (Reflect.get(client, '_sock') as Socket).destroy();
  await until(() => world.gate.ends.at(-1)?.session === world.gate.lastSession, 'the report');
});

test('a broker that stops cuts what is open and reports it', async () => {
  await using other = await startSshBrokerWorld();
  const child = other.spawnSsh(['target', 'sleep 60']);
  await until(() => other.gate.startedWith.length === 1, 'the session');
  const exit = once(child, 'exit');
  await other.broker.stop();
  assert.equal(other.gate.ends.at(-1)?.reason, 'broker_lost');
  await exit;
});
