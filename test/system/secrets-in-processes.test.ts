import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { isAlive, spawnServer } from '#test/worlds/server-process.ts';

const run = promisify(execFile);

/** Every process below `pid`, and PostgreSQL's own, which are in a session of their own. */
async function processesOf(pid: number, folder: string): Promise<readonly number[]> {
  const { stdout } = await run('ps', ['-eo', 'pid=,ppid=,args=', '-ww']);
  const all = stdout.split('\n').map((line) => /^ *(\d+) +(\d+) (.*)$/.exec(line)).filter((line) => line !== null);
  const ours = new Set([pid]);
  for (const [, , , args = ''] of all) if (args.includes(`${folder}/store`)) ours.add(Number(all.find((line) => line[3] === args)?.[1]));
  for (const [, child, parent] of all) if (ours.has(Number(parent))) ours.add(Number(child));
  return [...ours];
}

test('H04 no secret in a process\'s arguments, nor in the environment of a child; SIGUSR1 opens no inspector', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-h04-'));
  await chmod(folder, 0o711);
  t.after(() => rm(folder, { recursive: true, force: true }));
  const rootKey = randomBytes(32).toString('base64');
  await using server = await spawnServer({ BREVET_DATA: folder, BREVET_BROKER_PROCESSES: '2', BREVET_ROOT_KEY: rootKey });
  const credentials = JSON.parse(await readFile(join(folder, 'store/database/credentials.json'), 'utf8')) as Record<string, string>;
  const link = /#(bvl_\w+)/.exec(server.said())?.[1] ?? '';
  const secrets = [rootKey, link, ...Object.values(credentials)];
  assert.ok(secrets.every((secret) => secret.length > 20) && secrets.length === 4);
  const brokers = await server.brokerPids();
  const pids = await processesOf(server.pid, folder);
  assert.ok(brokers.length === 2 && brokers.every((pid) => pids.includes(pid)) && pids.length >= 5, String(pids));
  for (const pid of pids) {
    const [args, environment] = await Promise.all(['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')));
    for (const secret of secrets) {
      assert.ok(!args?.includes(secret), `an argument of ${args}`);
      // Its own environment is how the server was given the key: readable by its user and by root alone.
      if (pid !== server.pid) assert.ok(!environment?.includes(secret), `the environment of ${args}`);
    }
    if (brokers.includes(pid)) assert.doesNotMatch(environment ?? '', /BREVET_|DATABASE_URL|PASSWORD/);
  }
  assert.match(await readFile(`/proc/${server.pid}/environ`, 'utf8'), /BREVET_ROOT_KEY=/, 'the look above would have seen it');

  for (const pid of [server.pid, ...brokers]) process.kill(pid, 'SIGUSR1');
  await sleep(500);
  for (const pid of [server.pid, ...brokers]) {
    const threads = await Promise.all((await readdir(`/proc/${pid}/task`)).map((id) => readFile(`/proc/${pid}/task/${id}/comm`, 'utf8').catch(() => '')));
    assert.ok(await isAlive(pid) && !threads.some((name) => /inspect|signalinspector/i.test(name)), threads.join());
  }
  assert.doesNotMatch(server.said(), /Debugger listening/);
});
