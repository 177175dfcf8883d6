/** Clients other than OpenSSH's: PuTTY's programs, and what is built on paramiko. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test as bare, type TestContext } from 'node:test';
import { refusals, run, startSshBrokerWorld, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: (t: TestContext) => Promise<void>) => bare(name, { timeout: 60_000 }, body);
const MUCH = randomBytes(5_000_001);

let world: SshBrokerWorld;
before(async () => {
  world = await startSshBrokerWorld();
  await writeFile(world.folder.at('much'), MUCH);
});
after(() => world[Symbol.asyncDispose]());

test('plink runs commands, pscp carries files by either protocol', async () => {
  const { at } = world.folder;
  await run('puttygen', [at('key'), '-O', 'private', '-o', at('key.ppk')]);
  assert.equal((await run('puttygen', [at('key.ppk'), '--certificate', at('key-cert.pub'), '-O', 'private', '-o', at('certified.ppk')])).code, 0);
  const fingerprint = (await run('ssh-keygen', ['-lf', at('known_hosts')])).stdout.toString().split(' ')[1] ?? '';
  const flags = ['-batch', '-noagent', '-P', String(world.broker.port), '-i', at('certified.ppk'), '-hostkey', fingerprint];
  const ran = await run('plink', ['-ssh', '-no-antispoof', ...flags, 'orders-host@127.0.0.1', 'echo out; echo err >&2; exit 6']);
  assert.deepEqual([ran.code, ran.stdout.toString(), ran.stderr], [6, 'out\n', 'err\n']);
  for (const protocol of ['-sftp', '-scp']) {
    const there = `orders-host@127.0.0.1:${at('there')}`;
    const up = await run('pscp', [protocol, '-q', ...flags, at('much'), there]);
    assert.equal(up.code, 0, up.stderr);
    const down = await run('pscp', [protocol, '-q', ...flags, there, at('back')]);
    assert.equal(down.code, 0, down.stderr);
    assert.ok(Buffer.compare(await readFile(at('back')), MUCH) === 0);
    assert.deepEqual(refusals(await world.recorded()), []);
  }
});

test('paramiko runs commands and carries files', async () => {
  const { at } = world.folder;
  await world.folder.write('client.py', `
import paramiko
key = paramiko.Ed25519Key.from_private_key_file('${at('key')}')
key.load_certificate('${at('key-cert.pub')}')
client = paramiko.SSHClient()
client.load_host_keys('${at('known_hosts')}')
client.connect('127.0.0.1', ${world.broker.port}, 'orders-host', pkey=key, allow_agent=False, look_for_keys=False)
_, out, err = client.exec_command('echo out; echo err >&2; exit 5')
print(out.read().decode(), err.read().decode(), out.channel.recv_exit_status())
files = client.open_sftp()
files.put('${at('much')}', '${at('put')}')
files.get('${at('put')}', '${at('got')}')
client.close()
`);
  const ran = await run('/usr/bin/python3', [at('client.py')]);
  assert.deepEqual([ran.code, ran.stdout.toString()], [0, 'out\n err\n 5\n'], ran.stderr);
  assert.ok(Buffer.compare(await readFile(at('got')), MUCH) === 0);
});

test('a target that wants a password gets it', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root gives an account a password');
  const { user } = world.gate.terms.upstream;
  const password = randomBytes(12).toString('hex');
  assert.equal((await run('chpasswd', [], `${user}:${password}\n`)).code, 0);
  world.gate.terms = { ...world.gate.terms, upstream: { ...world.gate.terms.upstream, auth: { by: 'password', password } } };
  assert.equal((await world.ssh(['target', 'echo in'])).stdout.toString(), 'in\n');
});
