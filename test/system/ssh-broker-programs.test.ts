/** The user's own programs through the SSH broker, on a real sshd: unchanged, byte for byte, and recorded. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { after, before, test as bare } from 'node:test';
import { knownAuthorityLine } from '#contract/ssh/key-lines.ts';
import { encodePublicKey } from '#contract/ssh/public-key.ts';
import { until } from '#test/worlds/broker-world.ts';
import { refusals, run, shown, startSshBrokerWorld, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
/** More than a window, a packet and what is held back, and no multiple of any of them. */
const MUCH = randomBytes(5_000_001);

let world: SshBrokerWorld;
before(async () => {
  world = await startSshBrokerWorld();
});
after(() => world[Symbol.asyncDispose]());

const same = (left: Uint8Array, right: Uint8Array) => assert.ok(Buffer.compare(left, right) === 0, `${left.length} bytes, ${right.length} expected`);

test('a command: its output, its errors apart, its exit code; who asked for what is told to the gate and recorded', async () => {
  const ran = await world.ssh(['target', 'echo out; echo err >&2; exit 7']);
  assert.deepEqual([ran.code, ran.stdout.toString(), ran.stderr], [7, 'out\n', 'err\n']);
  const lines = await world.recorded();
  assert.deepEqual(lines.map(({ what }) => what), ['header', 'opened', 'output', 'output', 'exit', 'stream', 'stream', 'closed', 'end']);
  assert.deepEqual(lines.filter(({ what }) => what === 'stream').map(({ bytes, left }) => [bytes, left]), [[4, 0], [4, 0]], 'nothing was left out');
  assert.deepEqual([lines[1]?.['kind'], lines[1]?.['command'], shown(lines), shown(lines, 'err')], ['exec', 'echo out; echo err >&2; exit 7', 'out\n', 'err\n']);
  assert.deepEqual([lines[4]?.['code'], lines.at(-1)?.['reason']], [7, 'client_closed']);
  const asked = world.gate.asked.at(-1);
  assert.deepEqual([asked?.protocol, asked?.target, asked?.within, asked?.proof.by === 'certificate' && asked.proof.subject], ['ssh', 'orders-host', null, world.principal]);
  assert.match(asked?.client.application ?? '', /^OpenSSH_/);
  assert.deepEqual(world.gate.ends.at(-1)?.counters, { statements: 1, bytesIn: 0, bytesOut: 8 });
});

test('a command that dies of a signal says so', async () => {
  const ran = await world.ssh(['target', 'kill -TERM $$']);
  assert.equal(ran.code, 255);
  assert.equal((await world.recorded()).find(({ what }) => what === 'exit')?.['signal'], 'TERM');
});

test('the user name may name account, grant and a wait', async () => {
  const grant = 'grt_01jd000000000000000000000a';
  assert.equal((await world.ssh(['-l', `orders-host+account=deploy+grant=${grant}+wait=90`, 'target', 'true'])).code, 0);
  const asked = world.gate.asked.at(-1);
  assert.deepEqual([asked?.target, asked?.within, asked?.grant, asked?.waitSeconds], ['orders-host', 'deploy', grant, 90]);
  const wrong = await world.ssh(['-l', 'orders-host+colour=red', 'target', 'true']);
  assert.equal(wrong.code, 255);
  assert.match(wrong.stderr, /Brevet: there is no option "colour"/);
});

test('some megabytes through a command, in and out at once, are the same', async () => {
  const ran = await world.ssh(['target', 'cat'], MUCH);
  assert.equal(ran.code, 0);
  same(ran.stdout, MUCH);
  assert.equal((await world.recorded()).find(({ what }) => what === 'closed')?.['bytesIn'], MUCH.length);
});

test('much on both streams at once arrives whole, to a client that reads late', async () => {
  const child = world.spawnSsh(['target', 'head -c 6000001 /dev/zero >&2 & head -c 6000002 /dev/zero; wait']);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  let [out, err] = [0, 0];
  child.stdout?.on('data', (bytes: Buffer) => (out += bytes.length));
  child.stderr?.on('data', (bytes: Buffer) => (err += bytes.length));
  await once(child, 'close');
  assert.deepEqual([out, err], [6_000_002, 6_000_001]);
});

test('a shell in a terminal: its size, its changes, its modes, what is typed and what is shown', async () => {
  const script = 'stty rows 33 cols 101 erase ^H; exec ssh -tt "$@"';
  const child = await run('script', ['-qec', `sh -c '${script}' sh ${world.options.join(' ')} target`, '/dev/null'], 'stty size; stty -a | grep -o "erase = ..";  echo $((6*7)); exit 3\n');
  assert.match(child.stdout.toString(), /33 101\r\n/);
  assert.match(child.stdout.toString(), /erase = \^H/);
  assert.match(child.stdout.toString(), /\r\n42\r\n/);
  assert.equal(child.code, 3);
  const lines = await world.recorded();
  assert.deepEqual(lines.find(({ what }) => what === 'opened')?.['pty'], { term: process.env['TERM'] ?? 'dumb', cols: 101, rows: 33 });
  assert.match(shown(lines), /\r\n42\r\n/);
});

test('of the client\'s environment only the language passes', async () => {
  const env = { ...process.env, LANG: 'de_DE.UTF-8', LC_TIME: 'C', LD_PRELOAD_X: 'evil', LC_EVIL: 'a b;c' };
  const ran = await run('ssh', [...world.options, '-o', 'SendEnv=LANG LC_* LD_*', 'target', 'echo "$LANG|$LC_TIME|$LD_PRELOAD_X|$LC_EVIL"'], '', env);
  assert.equal(ran.stdout.toString(), 'de_DE.UTF-8|C||\n');
});

test('scp in both its forms and sftp carry files byte for byte, both ways', async () => {
  const { folder, options } = world;
  await writeFile(folder.at('much'), MUCH);
  for (const form of [['-O'], ['-s']]) {
    const there = folder.at(`there${form.join('')}`);
    const up = await run('scp', [...options, ...form, folder.at('much'), `target:${there}`]);
    assert.deepEqual([up.code, up.stderr], [0, '']);
    same(await readFile(there), MUCH);
    const told = (await world.recorded()).find(({ op }) => op === (form[0] === '-O' ? 'file' : 'close'));
    assert.equal(told?.['sha256'] ?? (told?.['written'] as { sha256: string } | undefined)?.sha256, createHash('sha256').update(MUCH).digest('hex'));
    const down = await run('scp', [...options, ...form, `target:${there}`, folder.at('back')]);
    assert.deepEqual([down.code, down.stderr], [0, '']);
    same(await readFile(folder.at('back')), MUCH);
    await rm(folder.at('back'));
  }
  const batch = await run('sftp', [...options, '-b', '-', 'target'], [
    `put ${folder.at('much')} ${folder.at('put')}`, `get ${folder.at('put')} ${folder.at('got')}`, `mkdir ${folder.at('dir')}`, `ls ${folder.at('dir')}`,
    `rename ${folder.at('put')} ${folder.at('moved')}`, `chmod 600 ${folder.at('moved')}`, `-rm ${folder.at('not-there')}`, `rm ${folder.at('moved')}`, '',
  ].join('\n'));
  assert.equal(batch.code, 0, batch.stderr);
  same(await readFile(folder.at('got')), MUCH);
  const lines = await world.recorded();
  assert.equal(lines.find(({ what }) => what === 'opened')?.['kind'], 'sftp');
  const whole = { bytes: MUCH.length, sha256: createHash('sha256').update(MUCH).digest('hex') };
  const events = lines.filter(({ what }) => what === 'file').map(({ op, path, to, read, written, outcome }) => [op, path, to ?? read ?? written ?? null, outcome]);
  const [put, moved, dir] = [folder.at('put'), folder.at('moved'), folder.at('dir')];
  assert.deepEqual(events, [
    ['init', undefined, null, undefined], ['realpath', '.', null, 'ok'], ['open', put, null, 'ok'], ['close', put, whole, 'ok'], ['open', put, null, 'ok'], ['close', put, whole, 'ok'], ['mkdir', dir, null, 'ok'],
    ['readdir', `${dir}/`, null, 'ok'], ['rename', put, moved, 'ok'], ['setstat', moved, null, 'ok'], ['remove', folder.at('not-there'), null, 'no such file'], ['remove', moved, null, 'ok'],
  ]);
});

test('D01 what calls itself SFTP and can not be read does not pass, and its channel ends', async () => {
  const ran = await world.ssh(['-s', 'target', 'sftp'], Buffer.from('ffffffff0100000003', 'hex'));
  assert.deepEqual([ran.code, ran.stdout.length], [255, 0]);
  assert.match(ran.stderr, /^Brevet: /);
  const lines = await world.recorded();
  assert.deepEqual(refusals(lines), ['sftp']);
  assert.equal(lines.find(({ kind, what }) => what === 'closed' || kind === 'sftp')?.['kind'], 'sftp');
  assert.equal(lines.find(({ what }) => what === 'closed')?.['bytesIn'], 0, 'nothing of it was handed on');
});

test('rsync and git work over it', async () => {
  const { folder, options } = world;
  await mkdir(folder.at('tree/deep'), { recursive: true });
  await Promise.all([writeFile(folder.at('tree/a'), MUCH), writeFile(folder.at('tree/deep/b'), 'b')]);
  const ssh = `ssh ${options.join(' ')}`;
  const synced = await run('rsync', ['-a', '-e', ssh, `${folder.at('tree')}/`, `target:${folder.at('copy')}`]);
  assert.equal(synced.code, 0, synced.stderr);
  same(await readFile(folder.at('copy/a')), MUCH);

  const env = { ...process.env, GIT_SSH_COMMAND: ssh, GIT_CONFIG_GLOBAL: '/dev/null', GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };
  const git = async (...args: string[]) => {
    const ran = await run('git', args, '', env);
    assert.equal(ran.code, 0, ran.stderr);
  };
  assert.equal((await world.ssh(['target', `git init -q --bare ${folder.at('origin')}`])).code, 0);
  await git('init', '-q', folder.at('work'));
  await writeFile(folder.at('work/file'), MUCH);
  await git('-C', folder.at('work'), 'add', 'file');
  await git('-C', folder.at('work'), 'commit', '-qm', 'one');
  await git('-C', folder.at('work'), 'push', '-q', `target:${folder.at('origin')}`, 'HEAD:refs/heads/main');
  await git('clone', '-q', '-b', 'main', `target:${folder.at('origin')}`, folder.at('clone'));
  same(await readFile(folder.at('clone/file')), MUCH);
});

test('many commands share one connection (ControlMaster): one session, each recorded, none in another\'s way', async () => {
  const { folder } = world;
  const control = ['-o', `ControlPath=${folder.at('mux')}`];
  const master = world.spawnSsh([...control, '-M', '-N', 'target']);
  await until(async () => (await world.ssh([...control, '-O', 'check', 'target'])).code === 0, 'the master');
  const opened = world.gate.tickets.length;
  const slow = world.ssh([...control, 'target', 'sleep 1; echo slow']);
  const quick = await Promise.all(Array.from({ length: 12 }, (_, n) => world.ssh([...control, 'target', `echo ${n}; exit ${n}`])));
  assert.deepEqual(quick.map(({ code, stdout }) => [code, stdout.toString()]), Array.from({ length: 12 }, (_, n) => [n, `${n}\n`]));
  assert.equal((await slow).stdout.toString(), 'slow\n');
  assert.equal(world.gate.tickets.length, opened);
  assert.equal(await world.connections(), 1);
  const ended = once(master, 'exit');
  await world.ssh([...control, '-O', 'exit', 'target']);
  await ended;
  const lines = await world.recorded();
  assert.deepEqual(lines.filter(({ what }) => what === 'exit').map((line) => Number(line['code'])).sort((a, b) => a - b), [0, ...Array.from({ length: 12 }, (_, n) => n)]);
  assert.deepEqual(refusals(lines), []);
  await until(async () => (await world.connections()) === 0, 'the end on the target');
});

test('the broker\'s host certificate is believed by who trusts its authority, and by nobody for another name', async () => {
  const { folder } = world;
  await folder.write('authorities', `${knownAuthorityLine([{ name: 'broker.example', port: 22 }, { name: 'other.example', port: 22 }], encodePublicKey(world.authority.publicKey), 'brevet')}\n`);
  const as = (name: string) => world.ssh(['-o', `UserKnownHostsFile=${folder.at('authorities')}`, '-o', `HostKeyAlias=${name}`, 'target', 'echo in']);
  assert.equal((await as('broker.example')).stdout.toString(), 'in\n');
  assert.match((await as('other.example')).stderr, /Host key verification failed|Certificate invalid/);
});
