/** D01, D08: every other way than a program's terminal: what is permitted passes and is recorded, the rest is refused and recorded. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { after, before, beforeEach, test as bare } from 'node:test';
import type { Client, ClientChannel } from 'ssh2';
import { until } from '#test/worlds/broker-world.ts';
import { signsAs } from '#test/worlds/certified-client.ts';
import { EVERYTHING, refusals, run, startSshBrokerWorld, type RecordedLine, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
const NOTHING = { shell: false, exec: false, sftp: false, localForward: [], remoteForward: [] };
const MUCH = randomBytes(3_000_001);

let world: SshBrokerWorld;
let echo: Server;
let echoPort: number;

before(async () => {
  world = await startSshBrokerWorld();
  // Answers when it has heard all: a client that ends its half must still get the answer.
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    const heard: Buffer[] = [];
    socket.on('error', () => undefined).on('data', (bytes) => heard.push(bytes)).on('end', () => socket.end(Buffer.concat(heard)));
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  echoPort = (echo.address() as AddressInfo).port;
});
beforeEach(() => world.permit(EVERYTHING));
after(async () => {
  echo.close();
  await world[Symbol.asyncDispose]();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Sends bytes to a port, ends its half, and answers what came back; `null` when nobody listens or it hangs up at once. */
async function exchange(port: number, bytes: Buffer): Promise<Buffer | null> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const failed = new Promise<boolean>((resolve) => void socket.on('error', () => resolve(true)).on('close', () => resolve(chunks.length === 0)));
  socket.on('connect', () => socket.end(bytes));
  return (await failed) ? null : Buffer.concat(chunks);
}

/** Says something to the echo by SOCKS 5, and answers what came back; `null` when it hangs up instead. */
async function throughSocks(port: number, text: string): Promise<string | null> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(Buffer.of(5, 1, 0));
  await once(socket, 'data');
  socket.write(Buffer.of(5, 1, 0, 1, 127, 0, 0, 1, echoPort >> 8, echoPort & 255));
  let answer = '';
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString('latin1');
    if (answer.length === 10) socket.end(text);
  });
  socket.on('end', () => socket.end()).on('error', () => undefined);
  await once(socket, 'close');
  return answer.length < 10 ? null : answer.slice(10);
}

/** Runs ssh with a forwarding in the background, until it stands. */
async function forwarding(flags: readonly string[]): Promise<{ stop(): Promise<readonly RecordedLine[]>; stderr(): string }> {
  const before = world.gate.startedWith.length;
  const child = world.spawnSsh([...flags, '-N', 'target']);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  await until(() => world.gate.startedWith.length > before, 'the session');
  await new Promise((resolve) => setTimeout(resolve, 300));
  return {
    stderr: () => stderr,
    async stop() {
      // OpenSSH's client may miss a gentler signal that comes while a channel ends.
      child.kill('SIGKILL');
      return world.recorded();
    },
  };
}

test('D01 -L: what is permitted is carried, with an end of either half, and recorded', async () => {
  world.permit({ ...NOTHING, localForward: [`127.0.0.1:${echoPort}`] });
  const [port, other] = [await freePort(), await freePort()];
  const ssh = await forwarding(['-L', `${port}:127.0.0.1:${echoPort}`, '-L', `${other}:127.0.0.1:22`]);
  const back = await exchange(port, MUCH);
  assert.ok(back && Buffer.compare(back, MUCH) === 0, `${back?.length} bytes came back`);
  assert.equal(await exchange(other, Buffer.from('x')), null);
  const lines = await ssh.stop();
  const opened = lines.find((line) => line['kind'] === 'forward');
  assert.deepEqual([opened?.['host'], opened?.['port']], ['127.0.0.1', echoPort]);
  const closed = lines.find((line) => line.what === 'closed' && line.channel === opened?.channel);
  assert.deepEqual([closed?.['bytesIn'], closed?.['bytesOut']], [MUCH.length, MUCH.length]);
  assert.deepEqual(refusals(lines), ['forward']);
  assert.equal(lines.find((line) => line['kind'] === 'refused')?.['port'], 22);
});

test('D01 -D and -W are held to the same permits', async () => {
  world.permit({ ...NOTHING, localForward: ['*:*'] });
  const piped = await world.ssh(['-W', `127.0.0.1:${echoPort}`, 'target'], MUCH);
  assert.ok(Buffer.compare(piped.stdout, MUCH) === 0, `${piped.stdout.length} bytes came back: ${piped.stderr}`);
  world.permit(NOTHING);
  const refused = await world.ssh(['-W', `127.0.0.1:${echoPort}`, 'target'], 'x');
  assert.equal(refused.code, 255);
  assert.match(refused.stderr, /stdio forwarding failed/);
  const port = await freePort();
  const ssh = await forwarding(['-D', String(port)]);
  assert.equal(await throughSocks(port, 'hello'), null);
  assert.deepEqual(refusals(await ssh.stop()), ['forward']);
  world.permit({ ...NOTHING, localForward: [`*:${echoPort}`] });
  const open = await forwarding(['-D', String(port)]);
  assert.equal(await throughSocks(port, 'hello'), 'hello');
  assert.deepEqual(refusals(await open.stop()), []);
});

test('D01 -R: only a permitted port on the target\'s own address, and it closes with the session', async () => {
  const [port, forbidden] = [await freePort(), await freePort()];
  world.permit({ ...NOTHING, remoteForward: [String(port)] });
  const ssh = await forwarding(['-R', `${port}:127.0.0.1:${echoPort}`, '-R', `${forbidden}:127.0.0.1:${echoPort}`, '-R', `*:${port}:127.0.0.1:${echoPort}`]);
  const back = await exchange(port, MUCH);
  assert.ok(back && Buffer.compare(back, MUCH) === 0, `${back?.length} bytes came back`);
  assert.equal(await exchange(forbidden, Buffer.from('x')), null);
  assert.match(ssh.stderr(), /remote port forwarding failed for listen port/);
  const lines = await ssh.stop();
  assert.deepEqual(refusals(lines), ['listen', 'listen']);
  assert.deepEqual(lines.filter(({ what }) => what === 'opened').map((line) => line['kind']).sort(), ['forward', 'listen', 'refused', 'refused']);
  await until(async () => (await exchange(port, Buffer.from('x'))) === null, 'the end of the port on the target');
});

test('D01 shell, exec and sftp are three permits, and what is refused runs nothing on the target', async () => {
  const trials = [['shell', ['-T', 'target']], ['exec', ['target', `touch ${world.folder.at('ran')}`]], ['sftp', ['-s', 'target', 'sftp']]] as const;
  for (const [permit, args] of trials) {
    world.permit({ ...EVERYTHING, [permit]: false });
    const ran = await world.ssh(args, 'echo in\n');
    assert.ok(ran.code !== 0, permit);
    assert.match(ran.stderr, /request failed on channel 0/, permit);
    assert.deepEqual(refusals(await world.recorded()), [permit]);
    world.permit({ ...NOTHING, [permit]: true });
    const allowed = await world.ssh(args, permit === 'sftp' ? '' : 'echo in\n');
    assert.equal(allowed.code, 0, `${permit}: ${allowed.stderr}`);
  }
});

test('D01 D08 agent and X11 forwarding, other subsystems, other channels and requests: refused and recorded', async () => {
  const socket = world.folder.at('agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  await until(() => existsSync(socket), 'the agent');
  const env = { ...process.env, DISPLAY: '127.0.0.1:99', SSH_AUTH_SOCK: socket };
  const ran = await run('ssh', [...world.options, '-A', '-Y', '-o', 'IdentityAgent=SSH_AUTH_SOCK', 'target', 'echo "[$SSH_AUTH_SOCK][$DISPLAY]"'], '', env);
  agent.kill();
  assert.equal(ran.stdout.toString(), '[][]\n');
  assert.deepEqual(refusals(await world.recorded()).toSorted(), ['X11 forwarding', 'agent forwarding']);
  const subsystem = await world.ssh(['-s', 'target', 'netconf']);
  assert.match(subsystem.stderr, /subsystem request failed/);
  assert.deepEqual(refusals(await world.recorded()), ['subsystem']);
  const local = await world.ssh(['-o', 'ExitOnForwardFailure=yes', '-R', `${world.folder.at('sock')}:127.0.0.1:${echoPort}`, 'target', 'true']);
  assert.equal(local.code, 255);
  assert.deepEqual(refusals(await world.recorded()), ['streamlocal-forward@openssh.com']);
});

interface Packets {
  readonly write: { readonly allocStart: number; alloc(size: number): Buffer; finalize(packet: Buffer): Buffer };
}

/** Asks for a channel of a type that ssh2 has never heard of. */
function openChannel(client: Client, type: string): void {
  const protocol = Reflect.get(client, '_protocol') as object;
  const { write } = Reflect.get(protocol, '_packetRW') as Packets;
  const words = Buffer.from(type);
  const at = write.allocStart;
  const bytes = write.alloc(1 + 4 + words.length + 12);
  bytes[at] = 90;
  bytes.writeUInt32BE(words.length, at + 1);
  bytes.set(words, at + 5);
  bytes.writeUInt32BE(77, at + 5 + words.length);
  bytes.writeUInt32BE(1 << 20, at + 9 + words.length);
  bytes.writeUInt32BE(1 << 15, at + 13 + words.length);
  (Reflect.get(protocol, '_cipher') as { encrypt(packet: Buffer): void }).encrypt(write.finalize(bytes));
}

test('D01 a tunnel, a socket of the target\'s, an unknown channel, an unknown request: refused and recorded', async () => {
  const client = await signsAs(world.broker.port, await world.folder.read('key'), await world.folder.read('key-cert.pub'));
  const failed = (open: (done: (error?: Error | null) => void) => void) => new Promise((resolve) => open((error) => resolve(error instanceof Error)));
  assert.ok(await failed((done) => client.openssh_forwardOutStreamLocal('/run/docker.sock', done)));
  assert.ok(await failed((done) => client.openssh_forwardInStreamLocal('/tmp/x', done)));
  openChannel(client, 'tun@openssh.com');
  openChannel(client, 'made-up');
  const channel = await new Promise<ClientChannel>((resolve, reject) => client.exec('true', (error, opened) => (error ? reject(error) : resolve(opened))));
  channel.resume();
  await once(channel, 'close');
  client.end();
  assert.deepEqual(refusals(await world.recorded()), ['streamlocal', 'streamlocal-forward@openssh.com', 'channel tun@openssh.com', 'channel made-up']);
});

test('a certificate without leave for terminals or forwarding has none, whatever the grant permits', async () => {
  await world.folder.keygen('narrow', '-t', 'ed25519');
  await world.certify('narrow', { extensions: [] });
  const identity = ['-o', `IdentityFile=${world.folder.at('narrow')}`, '-o', `CertificateFile=${world.folder.at('narrow-cert.pub')}`];
  const config = (await world.folder.read('config')).replace(/IdentityFile .*\n/, '');
  await world.folder.write('narrow-config', config);
  const narrow = (args: readonly string[]) => world.run('ssh', ['-F', world.folder.at('narrow-config'), ...identity, ...args], 'x');
  assert.equal((await narrow(['target', 'true'])).code, 0);
  assert.match((await narrow(['-tt', 'target', 'true'])).stderr, /PTY allocation request failed/);
  assert.match((await narrow(['-W', `127.0.0.1:${echoPort}`, 'target'])).stderr, /stdio forwarding failed/);
});
