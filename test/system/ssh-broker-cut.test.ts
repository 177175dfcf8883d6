/** B03, B05, B07, D07 over SSH: at the deadline, on an order, without a lease, without a recorder: whatever a session is doing, it is cut, on the target as well. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { after, afterEach, before, test as bare } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#test/worlds/broker-world.ts';
import { marker, processesWith, shown, startSshBrokerWorld, type SshBrokerWorld } from '#test/worlds/ssh-broker-world.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);
const DEADLINE_MS = 1500;
const EPSILON_MS = 1000;

let world: SshBrokerWorld;
let honest: SshBrokerWorld['gate']['terms'];
let ticketAt = 0;

before(async () => {
  world = await startSshBrokerWorld();
  honest = world.gate.terms;
  world.gate.decide = async () => {
    ticketAt = performance.now();
    return null;
  };
});
afterEach(async () => {
  Object.assign(world.gate, { terms: honest, recordFails: false, renewFails: false, renewHangs: false, onStarted: null });
  await until(async () => (await world.connections()) === 0, 'the end of every connection to the target');
});
after(() => world[Symbol.asyncDispose]());

function deadlineIn(ms: number): void {
  world.gate.terms = { ...honest, remainingMs: ms };
}

/** Runs a program until the session is cut; answers what it said and how late nothing of it was left on the target. */
async function cut(program: string, args: readonly string[], word: string | null, input: string | null = null): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number; readonly lateMs: number }> {
  deadlineIn(DEADLINE_MS);
  const child = program === 'ssh' ? world.spawnSsh(args) : spawn(program, [...world.options, ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (bytes: Buffer) => (stdout = (stdout + bytes.toString()).slice(-100_000)));
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'exit');
  if (input !== null) child.stdin?.write(input);
  await until(async () => (await world.connections()) === 1, 'the session');
  if (word !== null) await until(async () => (await processesWith(word)) > 0, 'the program');
  await until(async () => (await world.connections()) === 0 && (word === null || (await processesWith(word)) === 0), 'the end on the target');
  const lateMs = performance.now() - ticketAt - DEADLINE_MS;
  const [code] = (await exit) as [number];
  assert.ok(lateMs > -200 && lateMs < EPSILON_MS, `cut ${Math.round(lateMs)} ms after the deadline`);
  const lines = await world.recorded();
  assert.equal(lines.at(-1)?.['reason'], 'deadline');
  assert.equal(world.gate.ends.filter(({ session }) => session === world.gate.lastSession).length, 1);
  return { stdout, stderr, code, lateMs };
}

const WORDS = /Brevet: this access ended at \S+Z: the granted time is over/;

test('B03 deadline: a shell in a terminal, and what runs in it', async () => {
  const word = marker();
  const { stderr, code } = await cut('ssh', ['-tt', 'target'], word, `sleep ${word}\n`);
  assert.match(stderr, WORDS);
  assert.equal(code, 255);
});

test('B03 deadline: a command without a terminal that hears no hangup and is not asked twice', async () => {
  const word = marker();
  const { stderr, code } = await cut('ssh', ['target', `trap "" HUP TERM; sleep ${word}; sleep ${word}`], word);
  assert.match(stderr, WORDS);
  assert.equal(code, 255);
});

test('B03 deadline: in the middle of scp, in both its forms', async () => {
  const { folder } = world;
  await writeFile(folder.at('large'), Buffer.alloc(400_000_000));
  for (const form of ['-O', '-s']) {
    const there = folder.at(`large${form}`);
    // Slow enough to be under way at the deadline, and fast enough to have a good part over.
    const { code } = await cut('scp', [form, '-l', '80000', folder.at('large'), `target:${there}`], null);
    assert.ok(code !== 0);
    const { size } = await stat(there);
    assert.ok(size > 1_000_000 && size < 400_000_000, `${size} bytes were written`);
  }
});

test('B03 deadline: a command that says more than its client reads', async () => {
  deadlineIn(DEADLINE_MS);
  const word = marker();
  const child = world.spawnSsh(['target', `exec -a ${word} head -c 1000000000 /dev/zero`]);
  await until(async () => (await world.connections()) === 1, 'the session');
  await until(async () => (await world.connections()) === 0, 'the end on the target');
  assert.ok(performance.now() - ticketAt < DEADLINE_MS + EPSILON_MS);
  child.kill();
  assert.equal((await world.recorded()).at(-1)?.['reason'], 'deadline');
  await until(async () => (await processesWith(word)) === 0, 'the end of the program');
});

test('B03 deadline: in the middle of forwarded connections, in both directions', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    const timer = setInterval(() => socket.write('tick'), 20);
    socket.on('close', () => clearInterval(timer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const [near, far] = [20_000 + Math.floor(Math.random() * 10_000), 31_000 + Math.floor(Math.random() * 1000)];
  deadlineIn(DEADLINE_MS);
  const child = world.spawnSsh(['-N', '-L', `${near}:127.0.0.1:${port}`, '-R', `${far}:127.0.0.1:${port}`, 'target']);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'exit');
  await until(async () => (await world.connections()) === 1, 'the session');
  await sleep(300);
  const closes = [near, far].map(async (at) => {
    const socket = connect(at, '127.0.0.1').on('error', () => undefined);
    let heard = 0;
    socket.on('data', (bytes) => (heard += bytes.length));
    await once(socket, 'close');
    return [heard > 0, performance.now() - ticketAt - DEADLINE_MS] as const;
  });
  for (const [heard, late] of await Promise.all(closes)) {
    assert.ok(heard, 'nothing was carried');
    assert.ok(late > -200 && late < EPSILON_MS, `cut ${Math.round(late)} ms after the deadline`);
  }
  await exit;
  assert.match(stderr, WORDS);
  server.close();
});

test('warn, then cut; and an extension moves the deadline', async () => {
  world.gate.terms = { ...honest, remainingMs: 1500, endMode: 'warn_then_cut', warnMs: 1000 };
  const child = world.spawnSsh(['-tt', 'target', 'sleep 60']);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'exit');
  await until(() => /this session will be cut in 1 seconds/.test(stderr), 'the warning');
  world.gate.order({ session: world.gate.lastSession, order: 'deadline', remainingMs: 2500 });
  await sleep(1300);
  assert.equal(child.exitCode, null, 'the extension counts');
  await exit;
  assert.equal(stderr.match(/this session will be cut/g)?.length, 2);
  assert.match(stderr, WORDS);
});

test('an order cuts within a second, with the words of the gate', async () => {
  const word = marker();
  const child = world.spawnSsh(['target', `sleep ${word}`]);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'exit');
  await until(async () => (await processesWith(word)) > 0, 'the program');
  world.gate.order({ session: world.gate.lastSession, order: 'cut', reason: 'ended_by_admin', message: 'rob ended it' });
  await until(async () => (await processesWith(word)) === 0 && (await world.connections()) === 0, 'the end on the target', EPSILON_MS);
  await exit;
  assert.match(stderr, /Brevet: this access ended at \S+Z: rob ended it/);
});

test('without the control plane a session lives for the grace, no longer', async () => {
  world.gate.terms = { ...honest, leaseMs: 600, graceMs: 1500 };
  const started = world.gate.startedWith.length;
  const child = world.spawnSsh(['target', 'sleep 60']);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  await until(() => world.gate.renewals > 2, 'renewals');
  await until(() => world.gate.startedWith.length > started, 'the start');
  const exit = once(child, 'exit');
  world.gate.renewFails = true;
  const from = performance.now();
  await exit;
  const lived = performance.now() - from;
  assert.ok(lived > 1000 && lived < 1500 + EPSILON_MS, `it lived ${Math.round(lived)} ms`);
  assert.match(stderr, /lost touch with Brevet/);
  assert.equal((await world.recorded()).at(-1)?.['reason'], 'control_plane_lost');
});

test('D07 recorder fails in mid-session: the session ends', async () => {
  const word = marker();
  const child = world.spawnSsh(['target', `sleep 1; echo one; sleep ${word}`]);
  let stderr = '';
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const exit = once(child, 'exit');
  await until(async () => (await world.connections()) === 1, 'the session');
  await sleep(400);
  world.gate.recordFails = true;
  await exit;
  assert.match(stderr, /can no longer be recorded/);
  await until(async () => (await processesWith(word)) === 0, 'the end on the target');
  await until(() => world.gate.ends.at(-1)?.reason === 'recorder_failed', 'the report');
});

test('D07 recorder down from the start: no session, and nothing runs', async () => {
  world.gate.recordFails = true;
  const ran = await world.ssh(['target', `touch ${world.folder.at('ran')}`]);
  assert.equal(ran.code, 255);
  assert.match(ran.stderr, /Brevet: the session can not be recorded/);
  await assert.rejects(stat(world.folder.at('ran')));
  await until(() => world.gate.ends.at(-1)?.reason === 'recorder_failed', 'the report');
});

test('B05 the broker stands still over the deadline: what came meanwhile does not reach the target', async () => {
  deadlineIn(DEADLINE_MS);
  const child = world.spawnSsh(['target', `cat > ${world.folder.at('heard')}`]);
  const exit = once(child, 'exit');
  child.stdin?.write('before\n');
  await until(async () => (await stat(world.folder.at('heard')).catch(() => null))?.size === 7, 'the first line');
  // In a timer: so the next thing that the process hears of is what came in, and not that a deadline has passed.
  await new Promise<void>((resolve) => setTimeout(() => {
    child.stdin?.write('after\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ticketAt + DEADLINE_MS + 100 - performance.now());
    resolve();
  }, 50));
  await exit;
  assert.equal(await world.folder.read('heard'), 'before\n');
});

test('B07 a client that goes away, killed or in a network of its own, leaves nothing open on the target', async () => {
  const word = marker();
  const child = world.spawnSsh(['target', `sleep ${word}`]);
  await until(async () => (await processesWith(word)) > 0, 'the program');
  child.kill('SIGKILL');
  await until(async () => (await processesWith(word)) === 0 && (await world.connections()) === 0, 'the end on the target');
  assert.equal((await world.recorded()).at(-1)?.['reason'], 'client_closed');
});

test('B07 a client that goes while the session starts opens nothing', async () => {
  let letGo: () => void = () => undefined;
  world.gate.onStarted = () => new Promise((resolve) => (letGo = resolve));
  const child = world.spawnSsh(['target', 'echo in']);
  await until(async () => (await world.connections()) === 1, 'the dialled target');
  child.kill('SIGKILL');
  await until(async () => (await world.connections()) === 0, 'the end on the target');
  letGo();
  const lines = await world.recorded();
  assert.deepEqual([lines.at(-1)?.['reason'], shown(lines)], ['client_closed', '']);
});
