import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BREVET = fileURLToPath(new URL('../../bin/brevet', import.meta.url));

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** The link that the first start prints; empty at later ones. */
  readonly link: string;
  /** A home for commands. */
  readonly folder: string;
}

/**
 * `bin/brevet server` as an operator starts it, on a database of its own and free ports; with `data`, the data folder of a server
 * that ran on it before, as a later start. Resolves when it runs.
 */
export async function startServerProcess(databaseUrl: string, data?: string): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-bench-server-'));
  const env = { PATH: process.env['PATH'], HOME: folder, BREVET_DATA: data ?? join(folder, 'data'), DATABASE_URL: databaseUrl, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0' };
  const child = spawn(BREVET, ['server'], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, journal] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (journal += bytes.toString()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const end = performance.now() + 60_000;
  while (!journal.includes('Brevet is running')) {
    if (child.exitCode !== null || performance.now() > end) {
      await stop();
      throw new Error(`the server did not start: ${journal.slice(-500)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const link = /'(http[^']+sign-in#[^']+)'/.exec(said)?.[1];
  if (link === undefined && data === undefined) throw new Error('the server printed no link to sign in with');
  return { pid: child.pid ?? 0, link: link ?? '', folder, [Symbol.asyncDispose]: stop };
}

/** Resident and proportional memory of a process, in MB: pages that processes share are in the first once for each. */
export async function memoryOf(pid: number): Promise<{ readonly rss: number; readonly pss: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rss: read('Rss'), pss: read('Pss') };
}

export async function childrenOf(pid: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (Number(stat.replace(/^.*\) /, '').split(' ')[1]) === pid) found.push(Number(name));
  }
  return found;
}
