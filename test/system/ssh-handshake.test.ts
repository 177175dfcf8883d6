/** The broker's algorithms in the hands of others: OpenSSH on both sides, ssh-audit, a client that does not keep to the rules. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import ssh2, { type Algorithms } from 'ssh2';
import { CLIENT_ALGORITHMS, SERVER_ALGORITHMS } from '#brokers/ssh/algorithms.ts';
import { string, uint32 } from '#contract/ssh/wire.ts';
import { sshFolder } from '#test/worlds/ssh-programs.ts';
import { ssh2Server } from '#test/worlds/ssh2-server.ts';

const run = promisify(execFile);
const MLKEM = 'mlkem768x25519-sha256';

interface Negotiated {
  readonly kex: string;
  readonly cs: { readonly cipher: string };
}

/** Connects ssh2 as a client, runs a command, and answers what was said and agreed on. */
async function ssh2Client(port: number, options: { readonly algorithms?: Algorithms; readonly username?: string; readonly privateKey?: string; readonly command?: string }) {
  const client = new ssh2.Client();
  const handshakes: Negotiated[] = [];
  client.on('handshake', (negotiated) => handshakes.push(negotiated as unknown as Negotiated));
  client.connect({ host: '127.0.0.1', port, username: 'ada', algorithms: CLIENT_ALGORITHMS, hostVerifier: () => true, ...options });
  await once(client, 'ready');
  const said = await new Promise<string>((resolve, reject) => client.exec(options.command ?? 'echo hello', (error, channel) => {
    if (error) return reject(error);
    let text = '';
    return channel.on('data', (bytes: Buffer) => (text += bytes.toString())).on('close', () => resolve(text));
  }));
  client.end();
  await once(client, 'close');
  return { said, handshakes };
}

test('ssh2 agrees with itself on the post-quantum exchange, again at a new key exchange, whichever the cipher', async () => {
  await using server = await ssh2Server('everybody');
  for (const cipher of SERVER_ALGORITHMS.cipher) {
    const { said, handshakes } = await ssh2Client(server.port, { algorithms: { ...CLIENT_ALGORITHMS, cipher: [cipher] } });
    assert.equal(said, 'echo hello\n');
    assert.deepEqual(handshakes.map(({ kex, cs }) => [kex, cs.cipher]), [[MLKEM, cipher], [MLKEM, cipher]]);
  }
  assert.deepEqual(server.errors, []);
});

test('OpenSSH connects with every cipher and changes keys on the way; since 9.9 by the post-quantum exchange', async () => {
  await using server = await ssh2Server('everybody');
  await using folder = await sshFolder();
  const hasMlkem = (await run('ssh', ['-Q', 'kex'])).stdout.split('\n').includes(MLKEM);
  for (const cipher of ['chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr']) {
    // The client wants new keys in the middle of it, or not before its end: it is all there either way.
    const much = await folder.ssh(server.port, 'zeros 2000000', { flags: ['-c', cipher, '-o', 'RekeyLimit=256K'] });
    assert.deepEqual([much.code, Buffer.byteLength(much.stdout)], [0, 2_000_000]);
    // The server wants new keys before it answers.
    const { code, stdout, stderr } = await folder.ssh(server.port, 'hello', { flags: ['-vvv', '-c', cipher] });
    assert.deepEqual([code, stdout], [0, 'hello\n'], stderr.slice(-2000));
    const exchanges = [...stderr.matchAll(/kex: algorithm: (\S+)/g)].map(([, name]) => name);
    const wanted = hasMlkem ? MLKEM : 'curve25519-sha256';
    assert.deepEqual(exchanges, [wanted, wanted]);
    assert.match(stderr, /will use strict KEX ordering/);
    assert.match(stderr, /resetting send seqnr/);
    assert.match(stderr, /server-sig-algs=<ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256>/);
  }
});

test('ssh2 connects to a real sshd; since OpenSSH 9.9 by the post-quantum exchange', async () => {
  await using folder = await sshFolder();
  await folder.keygen('key', '-t', 'ed25519');
  await using sshd = await folder.sshd([`AuthorizedKeysFile ${folder.at('key.pub')}`, 'RekeyLimit 256K']);
  const hasMlkem = (await run('/usr/sbin/sshd', ['-T', '-f', folder.at('sshd_config')])).stdout.includes(MLKEM);
  const { said, handshakes } = await ssh2Client(sshd.port, { username: sshd.user, privateKey: await folder.read('key'), command: 'head -c 1000000 /dev/zero' });
  assert.equal(said.length, 1_000_000);
  assert.ok(handshakes.length > 1, 'sshd asked for no new keys');
  assert.deepEqual([...new Set(handshakes.map(({ kex }) => kex))], [hasMlkem ? MLKEM : 'curve25519-sha256']);
});

test('ssh-audit finds nothing to say', async () => {
  await using server = await ssh2Server('everybody');
  const audit = await run('ssh-audit', ['--no-colors', '-p', String(server.port), '127.0.0.1']).catch((error: { stdout: string }) => error);
  assert.match(audit.stdout, /\(key\) ssh-ed25519 /);
  const findings = audit.stdout.split('\n').filter((line) => /\[(?:warn|fail)\]/.test(line));
  // Debian 12 has an ssh-audit of 2021, which has not heard of these two.
  assert.deepEqual(findings.filter((line) => !/(?:mlkem768x25519-sha256|kex-strict-s-v00@openssh\.com) +-- \[warn\] unknown algorithm/.test(line)), []);
});

/** A binary packet (RFC 4253, section 6) before there is encryption. */
function packet(payload: Uint8Array): Buffer {
  const padding = 16 - ((5 + payload.length) % 16) + 16;
  return Buffer.concat([uint32(1 + payload.length + padding), Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

function keyExchangeInit(exchange: string, strict: boolean): Buffer {
  const lists = [exchange + (strict ? ',kex-strict-c-v00@openssh.com' : ''), 'ssh-ed25519', 'aes128-ctr', 'aes128-ctr', 'hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256-etm@openssh.com', 'none', 'none', '', ''];
  return Buffer.concat([Buffer.of(20), Buffer.alloc(16), ...lists.map((list) => string(list)), Buffer.alloc(5)]);
}

/** What the server says to a client that opens like this: the numbers of its messages, until it hangs up. */
async function messagesFor(port: number, payloads: readonly Uint8Array[]): Promise<readonly number[]> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (bytes) => chunks.push(bytes)).on('error', () => undefined);
  socket.write('SSH-2.0-rude\r\n');
  for (const payload of payloads) socket.write(packet(payload));
  setTimeout(() => socket.destroy(), 500);
  await once(socket, 'close');
  const all = Buffer.concat(chunks);
  const numbers: number[] = [];
  for (let at = all.indexOf('\n') + 1; at + 5 < all.length; at += 4 + all.readUInt32BE(at)) numbers.push(all.readUInt8(at + 5));
  return numbers;
}

const [DISCONNECT, KEXINIT, REPLY, NEWKEYS] = [1, 20, 31, 21];
const IGNORE = Buffer.concat([Buffer.of(2), string('x')]);

test('strict key exchange: nothing may be slipped in before the keys are new (CVE-2023-48795)', async () => {
  await using server = await ssh2Server('everybody');
  const share = Buffer.concat([Buffer.of(30), string(Buffer.alloc(32, 9))]);
  const strict = keyExchangeInit('curve25519-sha256', true);
  assert.deepEqual(await messagesFor(server.port, [strict, share]), [KEXINIT, REPLY, NEWKEYS]);
  for (const extra of [IGNORE, Buffer.concat([Buffer.of(4, 0), string('x'), string('')]), Buffer.concat([Buffer.of(3), uint32(0)]), Buffer.concat([Buffer.of(7), uint32(0)]), Buffer.alloc(0)]) {
    assert.deepEqual(await messagesFor(server.port, [strict, extra, share]), [KEXINIT, DISCONNECT], `after the first: ${extra.toString('hex')}`);
    assert.deepEqual((await messagesFor(server.port, [strict, share, extra])).slice(0, 4), [KEXINIT, REPLY, NEWKEYS, DISCONNECT], `before NEWKEYS: ${extra.toString('hex')}`);
  }
  assert.deepEqual(await messagesFor(server.port, [IGNORE, strict, share]), [KEXINIT, DISCONNECT]);
  // Without it the old rules hold, which let such messages pass.
  assert.deepEqual(await messagesFor(server.port, [keyExchangeInit('curve25519-sha256', false), IGNORE, share]), [KEXINIT, REPLY, NEWKEYS]);
});

test('a post-quantum share of another length, out of range, or that forces the secret is refused', async () => {
  await using server = await ssh2Server('everybody');
  const first = keyExchangeInit(MLKEM, true);
  const answer = (share: Uint8Array) => messagesFor(server.port, [first, Buffer.concat([Buffer.of(30), string(share)])]);
  // Coefficients of zero are within range: a key that nobody has, and a valid one.
  assert.deepEqual(await answer(Buffer.concat([Buffer.alloc(1184), Buffer.alloc(32, 9)])), [KEXINIT, REPLY, NEWKEYS]);
  const shares: readonly (readonly [string, Buffer])[] = [
    ['empty', Buffer.alloc(0)], ['short', Buffer.alloc(1215, 9)], ['long', Buffer.alloc(1217, 9)], ['X25519 alone', Buffer.alloc(32, 9)],
    ['coefficients above 3329', Buffer.concat([Buffer.alloc(1184, 0xff), Buffer.alloc(32, 9)])],
    ['an X25519 point of small order', Buffer.alloc(1216)],
  ];
  for (const [what, share] of shares) assert.deepEqual(await answer(share), [KEXINIT, DISCONNECT], what);
});
