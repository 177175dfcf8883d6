/** OpenSSH's certificates before Brevet's judgement, and Brevet's before OpenSSH's: ssh-keygen, a real ssh, a real sshd. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import ssh2, { type PublicKeyAuthContext } from 'ssh2';
import { CERTIFIED_HOST_KEY, CLIENT_ALGORITHMS } from '#brokers/ssh/algorithms.ts';
import { authorizedAuthorityLine, knownAuthorityLine, publicKeyLine } from '#contract/ssh/key-lines.ts';
import { encodePublicKey, fingerprintOf } from '#contract/ssh/public-key.ts';
import { authorityOf, signHostCertificate, signUserCertificate, type UserContent } from '#contract/ssh/sign-certificate.ts';
import { provesPossession, verifyHostCertificate, verifyUserCertificate } from '#contract/ssh/verify-certificate.ts';
import { sshFolder, type SshFolder } from '#test/worlds/ssh-programs.ts';
import { ssh2Server, type LetsIn } from '#test/worlds/ssh2-server.ts';

const run = promisify(execFile);
const NOW = new Date();
const authority = authorityOf(generateKeyPairSync('ed25519').privateKey);
const authorityBlob = encodePublicKey(authority.publicKey);
const KEYS = [['-t', 'ed25519'], ['-t', 'ecdsa', '-b', '256'], ['-t', 'ecdsa', '-b', '384'], ['-t', 'ecdsa', '-b', '521'], ['-t', 'rsa', '-b', '3072']] as const;

function blobOf(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}

/** Signs `name.pub` with ssh-keygen, and answers the certificate. */
async function signed(folder: SshFolder, ca: string, name: string, ...args: readonly string[]): Promise<Buffer> {
  await run('ssh-keygen', ['-q', '-s', folder.at(ca), ...args, folder.at(`${name}.pub`)]);
  return blobOf(await folder.read(`${name}-cert.pub`));
}

const ours: Omit<UserContent, 'publicKey'> = {
  serial: 42n, keyId: 'ada, for grt_1', principals: ['ada', 'db-admins'], nonce: randomBytes(32), extensions: ['permit-pty'],
  validAfter: new Date(NOW.getTime() - 60_000), validBefore: new Date(NOW.getTime() + 600_000),
};

async function certify(folder: SshFolder, name: string, changed: Partial<UserContent> = {}, by = authority): Promise<Buffer> {
  const certificate = signUserCertificate({ ...ours, ...changed, publicKey: blobOf(await folder.read(`${name}.pub`)) }, by);
  await folder.write(`${name}-cert.pub`, `${publicKeyLine(certificate, 'brevet')}\n`);
  return certificate;
}

test('what ssh-keygen signs is accepted, for keys and authorities of every type', async () => {
  await using folder = await sshFolder();
  for (const [at, args] of KEYS.entries()) await Promise.all([folder.keygen(`key-${at}`, ...args), folder.keygen(`ca-${at}`, ...args)]);
  for (const [key] of KEYS.entries()) {
    for (const [ca, [, type]] of KEYS.entries()) {
      const trusted = blobOf(await folder.read(`ca-${ca}.pub`));
      const algorithms = type === 'rsa' ? ['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa'] : [null];
      for (const algorithm of algorithms) {
        const blob = await signed(folder, `ca-${ca}`, `key-${key}`, ...(algorithm === null ? [] : ['-t', algorithm]), '-I', 'x', '-n', 'ada', '-V', '+5m');
        const verdict = verifyUserCertificate(blob, { authorities: [trusted], principal: 'ada', now: NOW });
        const what = `key-${key} by ca-${ca} ${algorithm}`;
        if (algorithm === 'ssh-rsa') assert.equal('fault' in verdict && verdict.fault, 'malformed', what);
        else assert.ok('accepted' in verdict, 'why' in verdict ? `${what}: ${verdict.why}` : what);
        if ('accepted' in verdict) assert.equal(fingerprintOf(verdict.accepted.keyBlob), (await run('ssh-keygen', ['-lf', folder.at(`key-${key}.pub`)])).stdout.split(' ')[1]);
      }
    }
  }
});

test('every option of ssh-keygen is read for what it says', async () => {
  await using folder = await sshFolder();
  await Promise.all([folder.keygen('key', '-t', 'ed25519'), folder.keygen('ca', '-t', 'ed25519')]);
  const trusted = [blobOf(await folder.read('ca.pub'))];
  const judge = async (...args: readonly string[]) => verifyUserCertificate(await signed(folder, 'ca', 'key', '-I', 'id', ...args), { authorities: trusted, principal: 'ada', now: NOW });
  const options = ['force-command=uptime -p', 'source-address=10.0.0.0/8,::1', 'verify-required', 'no-port-forwarding', 'extension:login@example.org=ada'];
  const full = await judge('-n', 'kim,ada', '-z', '18446744073709551615', ...options.flatMap((option) => ['-O', option]));
  assert.ok('accepted' in full);
  assert.deepEqual(full.accepted.restrictions, { forceCommand: 'uptime -p', sourceAddresses: ['10.0.0.0/8', '::1'], verifyRequired: true });
  assert.deepEqual([...full.accepted.extensions.keys()], ['login@example.org', 'permit-X11-forwarding', 'permit-agent-forwarding', 'permit-pty', 'permit-user-rc']);
  assert.equal(full.accepted.serial, 2n ** 64n - 1n);
  const faults = await [
    ['-n', 'ada', '-O', 'critical:unheard-of@example.org=1'], ['-n', 'kim'], [], ['-h', '-n', 'ada'], ['-n', 'ada', '-V', '-2h:-1h'], ['-n', 'ada', '-V', '+1h:+2h'],
  ].reduce(async (before, args) => {
    const list = await before;
    const verdict = await judge(...args);
    return [...list, 'fault' in verdict ? verdict.fault : 'accepted'];
  }, Promise.resolve<string[]>([]));
  assert.deepEqual(faults, ['unknown_option', 'wrong_principal', 'no_principals', 'wrong_kind', 'expired', 'not_yet_valid']);
});

test('ssh-keygen reads in ours what we wrote', async () => {
  await using folder = await sshFolder();
  await folder.keygen('key', '-t', 'rsa', '-b', '3072');
  await certify(folder, 'key', { forceCommand: 'uptime', sourceAddresses: ['10.0.0.0/8'], extensions: ['permit-pty', 'permit-port-forwarding'] });
  const { stdout } = await run('ssh-keygen', ['-L', '-f', folder.at('key-cert.pub')], { env: { ...process.env, TZ: 'UTC' } });
  const said = stdout.split('\n').slice(1).map((line) => line.trim());
  const local = (date: Date) => date.toISOString().slice(0, 19);
  assert.equal(said[0], 'Type: ssh-rsa-cert-v01@openssh.com user certificate');
  assert.equal(said[2], `Signing CA: ED25519 ${fingerprintOf(authorityBlob)} (using ssh-ed25519)`);
  assert.deepEqual(said.slice(3), [
    'Key ID: "ada, for grt_1"', 'Serial: 42', `Valid: from ${local(ours.validAfter)} to ${local(ours.validBefore)}`, 'Principals:', 'ada', 'db-admins',
    'Critical Options:', 'force-command uptime', 'source-address 10.0.0.0/8', 'Extensions:', 'permit-port-forwarding', 'permit-pty', '',
  ]);
});

/** As a broker lets in: a good certificate for the name that is asked for, and the session signed by its key. */
const letsIn: LetsIn = (context: PublicKeyAuthContext) => {
  const verdict = verifyUserCertificate(context.key.data, { authorities: [authorityBlob], principal: context.username, now: NOW });
  if (!('accepted' in verdict)) return false;
  if (context.signature === undefined || context.blob === undefined) return true;
  return provesPossession(verdict.accepted, { algorithm: context.key.algo, signed: context.blob, signature: context.signature });
};

test('A12 C03 a real ssh is let in by its certificate alone, for its principals only, with keys of every type', async () => {
  await using folder = await sshFolder();
  await using server = await ssh2Server(letsIn);
  for (const [at, args] of KEYS.entries()) {
    await folder.keygen(`key-${at}`, ...args);
    const code = async (user: string) => (await folder.ssh(server.port, 'hello', { user, key: `key-${at}` })).code;
    assert.equal(await code('ada'), 255, 'without a certificate');
    await certify(folder, `key-${at}`);
    assert.deepEqual([await code('ada'), await code('db-admins'), await code('kim')], [0, 0, 255], args.join(' '));
  }
  // Somebody else's certificate, to be seen in many places, in front of one's own key.
  await folder.keygen('thief', '-t', 'ed25519');
  await folder.write('thief-cert.pub', await folder.read('key-0-cert.pub'));
  assert.equal((await folder.ssh(server.port, 'hello', { user: 'ada', key: 'thief' })).code, 255);
  await certify(folder, 'key-0', {}, authorityOf(generateKeyPairSync('ed25519').privateKey));
  assert.equal((await folder.ssh(server.port, 'hello', { user: 'ada', key: 'key-0' })).code, 255);
});

test('C03 a real sshd that trusts our authority lets in the right principal, in time, from the right place, for the right command', async () => {
  await using folder = await sshFolder();
  await folder.keygen('key', '-t', 'ed25519');
  await folder.write('authorities', `${publicKeyLine(authorityBlob, 'brevet')}\n`);
  await folder.write('principals', 'grant-7\n');
  await using sshd = await folder.sshd([`TrustedUserCAKeys ${folder.at('authorities')}`, `AuthorizedPrincipalsFile ${folder.at('principals')}`]);
  const login = async (changed: Partial<UserContent>) => {
    await certify(folder, 'key', { principals: ['grant-7'], ...changed });
    const { code, stdout } = await folder.ssh(sshd.port, 'echo in', { key: 'key' });
    return code === 0 ? stdout.trim() : 'refused';
  };
  assert.equal(await login({}), 'in', await sshd.log());
  assert.equal(await login({ principals: ['grant-8', 'grant-70', sshd.user] }), 'refused');
  assert.equal(await login({ validBefore: new Date(NOW.getTime() - 1000) }), 'refused');
  assert.equal(await login({ validAfter: new Date(NOW.getTime() + 300_000) }), 'refused');
  assert.equal(await login({ forceCommand: 'echo forced' }), 'forced');
  assert.equal(await login({ sourceAddresses: ['127.0.0.0/8'] }), 'in');
  assert.equal(await login({ sourceAddresses: ['10.0.0.0/8'] }), 'refused');
  assert.match(await sshd.log(), /Accepted publickey for .* ID ada, for grt_1 \(serial 42\) CA ED25519/);
});

test('C04 one line in authorized_keys has sshd trust the authority for these principals', async () => {
  await using folder = await sshFolder();
  await folder.keygen('key', '-t', 'ed25519');
  await folder.write('authorized_keys', `${authorizedAuthorityLine(['grant-7', 'grant-8'], authorityBlob, 'brevet')}\n`);
  await using sshd = await folder.sshd([`AuthorizedKeysFile ${folder.at('authorized_keys')}`]);
  const code = async (principal: string) => {
    await certify(folder, 'key', { principals: [principal] });
    return (await folder.ssh(sshd.port, 'true', { key: 'key' })).code;
  };
  assert.deepEqual([await code('grant-8'), await code('grant-9')], [0, 255]);
  for (const principals of [[], ['a b'], ['a"'], ['a\nssh-ed25519 AAAA'], ['a,b']]) assert.throws(() => authorizedAuthorityLine(principals, authorityBlob, 'x'), RangeError);
  for (const comment of ['a b', 'a\nb', '\r']) assert.throws(() => publicKeyLine(authorityBlob, comment), RangeError);
});

/** An sshd with a host certificate of ours. */
async function certifiedHost(folder: SshFolder, hosts: readonly string[]) {
  await folder.keygen('host-key', '-t', 'ed25519');
  await folder.keygen('key', '-t', 'ed25519');
  const certificate = signHostCertificate({ ...ours, hosts, publicKey: blobOf(await folder.read('host-key.pub')) }, authority);
  await folder.write('host-key-cert.pub', `${publicKeyLine(certificate, 'brevet')}\n`);
  return folder.sshd([`HostCertificate ${folder.at('host-key-cert.pub')}`, `AuthorizedKeysFile ${folder.at('key.pub')}`]);
}

test('a real ssh believes a host by the line for our authority, and by no other name', async () => {
  await using folder = await sshFolder();
  await using sshd = await certifiedHost(folder, ['db.example.org']);
  await folder.write('known_hosts', `${knownAuthorityLine([{ name: 'db.example.org', port: 22 }, { name: 'www.example.org', port: 22 }], authorityBlob, 'brevet')}\n`);
  const login = (hostAlias: string) => folder.ssh(sshd.port, 'true', { key: 'key', knownHosts: 'known_hosts', hostAlias });
  const [right, wrong] = [await login('db.example.org'), await login('www.example.org')];
  assert.equal(right.code, 0, right.stderr);
  assert.equal(wrong.code, 255);
  assert.match(wrong.stderr, /name is not a listed principal/);
  for (const host of ['*', 'a,b', 'a b', '', '!a', '|1|a']) assert.throws(() => knownAuthorityLine([{ name: host, port: 22 }], authorityBlob, 'x'), RangeError);
});

test('ssh2 as a client takes a host certificate, and our judgement of it', async () => {
  await using folder = await sshFolder();
  await using sshd = await certifiedHost(folder, ['db.example.org']);
  const privateKey = await folder.read('key');
  const connect = async (host: string, authorities: readonly Uint8Array[]) => {
    let said: string | undefined;
    const client = new ssh2.Client();
    client.connect({
      host: '127.0.0.1', port: sshd.port, username: sshd.user, privateKey,
      algorithms: { ...CLIENT_ALGORITHMS, serverHostKey: [CERTIFIED_HOST_KEY] },
      hostVerifier: (blob: Buffer) => {
        const verdict = verifyHostCertificate(blob, { authorities, host, now: NOW });
        said = 'fault' in verdict ? verdict.fault : 'accepted';
        return said === 'accepted';
      },
    });
    const outcome = await once(client, 'ready').then(() => 'ready', (error: Error) => error.message);
    client.end();
    return [said, outcome];
  };
  const denied = 'Host denied (verification failed)';
  assert.deepEqual(await connect('db.example.org', [authorityBlob]), ['accepted', 'ready']);
  assert.deepEqual(await connect('www.example.org', [authorityBlob]), ['wrong_principal', denied]);
  assert.deepEqual(await connect('db.example.org', []), ['unknown_authority', denied]);
});

/** A server of ssh2's that shows a host certificate and signs with a key of its own choice: no real program does that. */
async function pretender(certificate: Buffer, privateKey: string) {
  const key = ssh2.utils.parseKey(privateKey);
  assert.ok(!(key instanceof Error));
  let connection: { readonly _protocol: { readonly _kex: { readonly negotiated: { serverHostKey: string } } } } | undefined;
  const shown = Object.create(key, {
    type: { value: CERTIFIED_HOST_KEY },
    getPublicSSH: { value: () => certificate },
    sign: {
      value: (data: Buffer) => {
        // The name of the signature's algorithm, which ssh2 takes from here.
        if (connection) connection['_protocol']['_kex'].negotiated.serverHostKey = 'ssh-ed25519';
        return key.sign(data);
      },
    },
  }) as Buffer;
  const server = new ssh2.Server({ hostKeys: [{ key: shown, passphrase: '' }] }, (client) => {
    connection = client as unknown as typeof connection;
    client.on('error', () => undefined).on('authentication', (context) => context.accept());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, [Symbol.dispose]: () => void server.close() };
}

test('a host that shows a certificate without having its key is not believed', async () => {
  const [own, stolen] = [ssh2.utils.generateKeyPairSync('ed25519'), ssh2.utils.generateKeyPairSync('ed25519')];
  const outcome = async (certified: string) => {
    const certificate = signHostCertificate({ ...ours, hosts: ['db.example.org'], publicKey: blobOf(certified) }, authority);
    using server = await pretender(certificate, own.private);
    const client = new ssh2.Client();
    client.connect({ host: '127.0.0.1', port: server.port, username: 'ada', algorithms: { serverHostKey: [CERTIFIED_HOST_KEY] }, hostVerifier: () => true });
    const said = await once(client, 'ready').then(() => 'ready', (error: Error) => error.message);
    client.end();
    return said;
  };
  assert.equal(await outcome(own.public), 'ready');
  assert.equal(await outcome(stolen.public), 'Handshake failed: signature verification failed');
});
