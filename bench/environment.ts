import { execFile } from 'node:child_process';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { debianBin } from '#test/worlds/postgres-server.ts';

const run = promisify(execFile);

/** Where and when figures were made: without it they say nothing. */
export interface Environment {
  readonly at: string;
  readonly commit: string;
  /** Files that differ from the commit. */
  readonly changed: number;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  /** Of the store, and of the targets. */
  readonly postgresql: { readonly store: string; readonly target: string };
  /** Of the minute before the benchmark started: a busy machine makes every latency worse. */
  readonly loadAtStart: number;
  readonly quick: boolean;
}

export async function readEnvironment(storeUrl: string, quick: boolean): Promise<Environment> {
  const git = async (...args: string[]) => (await run('git', args).catch(() => ({ stdout: 'unknown' }))).stdout.trim();
  const client = new Client({ connectionString: storeUrl });
  await client.connect();
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version").finally(() => client.end());
  const target = await debianBin().then((bin) => run(`${bin}/postgres`, ['--version']), () => ({ stdout: 'none' }));
  return {
    at: new Date().toISOString(),
    commit: (await git('rev-parse', 'HEAD')).slice(0, 12),
    changed: (await git('status', '--short')).split('\n').filter(Boolean).length,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    postgresql: { store: rows[0]?.version ?? 'unknown', target: /[\d.]+/.exec(target.stdout)?.[0] ?? 'none' },
    loadAtStart: Number((loadavg()[0] ?? 0).toFixed(2)),
    quick,
  };
}
