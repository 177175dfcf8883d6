import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { until } from '#test/worlds/broker-world.ts';
import { isAlive, spawnServer } from '#test/worlds/server-process.ts';

const ROOT = join(import.meta.dirname, '../..');

async function folderFor(t: { after(done: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-stop-'));
  await chmod(folder, 0o711); // else, as root, the store moves to where PostgreSQL's user can enter
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

const postmasterOf = async (store: string) => Number((await readFile(join(store, 'database/cluster/postmaster.pid'), 'utf8')).split('\n')[0]);

test('a second Ctrl-C hastens a stop that hangs, and leaves no child behind', { timeout: 40_000 }, async (t) => {
  const folder = await folderFor(t);
  await using server = await spawnServer({ BREVET_DATA: folder, BREVET_BROKER_PROCESSES: '1' });
  const [broker = 0] = await server.brokerPids();
  const postmaster = await postmasterOf(join(folder, 'store'));
  assert.ok(await isAlive(broker) && await isAlive(postmaster));
  process.kill(broker, 'SIGSTOP'); // it cannot say goodbye: the stop waits ten seconds for it
  process.kill(server.pid, 'SIGINT');
  await sleep(600);
  assert.ok(await isAlive(server.pid), 'the first one stops in order, which takes its time');
  const began = performance.now();
  process.kill(server.pid, 'SIGINT');
  while (await isAlive(server.pid)) await sleep(20);
  assert.ok(performance.now() - began < 5000, `took ${performance.now() - began} ms`);
  assert.ok(!(await isAlive(broker)), 'the broker');
  assert.ok(!(await isAlive(postmaster)), 'the database');
  assert.match(server.said(), /stopping at once/);
  // Nothing that was confirmed is lost: the next start recovers, and the first administrator is there.
  await using again = await spawnServer({ BREVET_DATA: folder, BREVET_BROKER_PROCESSES: '0' });
  assert.doesNotMatch(again.said(), /brevet login/);
  assert.equal(await again.stop(), 0);
});

test('two Ctrl-C while the first start is still under way leave nothing running', { timeout: 30_000 }, async (t) => {
  const folder = await folderFor(t);
  const child = spawn(join(ROOT, 'bin/brevet'), ['server'], { env: { PATH: process.env['PATH'] ?? '', BREVET_DATA: folder, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0' }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.after(() => void child.kill('SIGKILL'));
  const pidFile = join(folder, 'store/database/cluster/postmaster.pid');
  while (!existsSync(pidFile) || (await readFile(pidFile, 'utf8')).split('\n').length < 2) await sleep(5);
  const postmaster = await postmasterOf(join(folder, 'store'));
  child.kill('SIGINT');
  await sleep(350);
  child.kill('SIGINT');
  await exited;
  // It has been told to quit; a busy machine may take a moment to let it.
  await until(async () => !(await isAlive(postmaster)), 'the end of the postmaster', 3000);
});

test('Ctrl-C in the demonstration ends an open psql with Brevet\'s words, before its database goes', { timeout: 60_000 }, async (t) => {
  const folder = await folderFor(t);
  const child = spawn(process.execPath, [join(ROOT, 'src/main/demo.ts')], { detached: true, env: { PATH: process.env['PATH'] ?? '', BREVET_DATA: folder, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0' }, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  t.after(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (bytes) => (said += bytes));
  while (!said.includes('Ctrl-C stops everything')) await sleep(20);
  const ada = (...args: string[]) => spawn(join(ROOT, 'bin/brevet'), args, { env: { PATH: process.env['PATH'] ?? '', HOME: folder, BREVET_HOME: join(folder, 'home/ada') }, stdio: ['ignore', 'ignore', 'pipe'] });
  const ran = async (...args: string[]) => assert.deepEqual(await once(ada(...args), 'exit'), [0, null], args.join(' '));
  await ran('login', /ada login '([^']*)'/.exec(said)?.[1] ?? '');
  await ran('request', 'orders-read', '--reason', 'r', '--ticket', 'SHOP-12', '--wait');
  const psql = ada('psql', 'orders', '--', '-c', 'select pg_sleep(60)');
  let heard = '';
  psql.stderr.on('data', (bytes) => (heard += bytes));
  const left = once(psql, 'exit');
  while (!heard.includes('this session is recorded')) await sleep(20);
  await sleep(1500);
  process.kill(-(child.pid ?? 0), 'SIGINT'); // as a terminal does: to all of the group
  await left;
  assert.deepEqual((await exited)[0], 0);
  assert.match(heard, /FATAL: {2}Brevet: this access ended at .*: the broker is being stopped/);
  assert.doesNotMatch(heard, /administrator command/);
});

test('the demonstration ends its sample database as well, however it is told to stop', { timeout: 40_000 }, async (t) => {
  const folder = await folderFor(t);
  const child = spawn(process.execPath, [join(ROOT, 'src/main/demo.ts')], { env: { PATH: process.env['PATH'] ?? '', BREVET_DATA: folder, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0' }, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  let said = '';
  child.stdout.on('data', (bytes) => (said += bytes));
  while (!said.includes('Ctrl-C stops everything')) await sleep(20);
  const postmasters = await Promise.all(['store', 'sample'].map((name) => postmasterOf(join(folder, name))));
  // A frozen sample database keeps the ordered stop waiting for fifteen seconds.
  process.kill(postmasters[1] as number, 'SIGSTOP');
  child.kill('SIGINT');
  await sleep(600);
  child.kill('SIGINT');
  await sleep(200);
  process.kill(postmasters[1] as number, 'SIGCONT');
  const [code] = (await exited) as [number | null];
  assert.equal(code, 130);
  for (const pid of postmasters) assert.ok(!(await isAlive(pid)), `postmaster ${pid}`);
  assert.ok(!readdirSync(join(folder, 'sample')).includes('.initdb-'));
});
