import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sweepLeftBehind } from './left-behind.ts';
import { startTestServer } from './postgres-server.ts';

/** Processes that stand in a folder. */
async function standingIn(folder: string): Promise<number> {
  const cwds = await Promise.all((await readdir('/proc')).filter((pid) => /^\d+$/.test(pid)).map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return cwds.filter((cwd) => cwd.startsWith(`${folder}/`)).length;
}

test('what a killed test process left, stopped as it was, is ended by the next run; what a living one has is not', { timeout: 30_000 }, async () => {
  await using mine = await startTestServer();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'test-server-child.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { pid, folder } = JSON.parse(line.toString()) as { pid: number; folder: string };
  child.kill('SIGKILL');
  await exited;
  process.kill(pid, 'SIGKILL'); // its children are left, and hear of nothing
  assert.ok((await standingIn(folder)) > 1);
  assert.ok((await sweepLeftBehind()) >= 1);
  for (let tries = 0; (await standingIn(folder)) > 0 && tries < 100; tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([await standingIn(folder), existsSync(folder)], [0, false]);
  assert.equal((await mine.query('select 1 as one')).rows[0].one, 1);
});
