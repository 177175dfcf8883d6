/** One postmaster process: starting it, finding one that an earlier Brevet left, ending it. */
import { spawn } from 'node:child_process';
import { open, readFile, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnAs } from './account.ts';
import type { Binaries } from './binaries.ts';
import { tailSince } from './failures.ts';
import type { Place } from './place.ts';

const FAST_MS = 15_000;
const IMMEDIATE_MS = 5_000;
const LOOK_MS = 20;
const EMPTY_TRIES = 20;
const LOG_LIMIT = 4 * 1024 * 1024;

/** Settings by name, as in postgresql.conf. They go on the command line: never a secret. */
export type Settings = Readonly<Record<string, string>>;

export interface Postmaster {
  readonly pid: number;
  readonly socketFolder: string;
  /** Whether we spawned it, or found it running. */
  readonly adopted: boolean;
  alive(): Promise<boolean>;
  /** What it wrote since we spawned it; of one found running, nothing. */
  output(): Promise<string>;
}

/**
 * Spawns the postmaster in a session of its own, so that Ctrl-C in the terminal reaches only us and we decide, and with
 * its output in a file, so that it goes on when we are killed. Readiness is for the caller to find out.
 */
export async function spawnPostmaster(place: Place, binaries: Binaries, socketFolder: string, settings: Settings): Promise<Postmaster> {
  const all: Settings = {
    listen_addresses: '', port: String(place.port), unix_socket_directories: `"${socketFolder}"`, unix_socket_permissions: '0700',
    cluster_name: place.name, timezone: 'UTC', log_timezone: 'UTC', log_line_prefix: '%m [%p] ', log_checkpoints: 'off',
    // Neither statements nor the values that broke a constraint belong in a log.
    log_min_error_statement: 'panic', log_error_verbosity: 'terse', log_min_messages: 'log',
    max_connections: '200',
    ...settings,
  };
  const log = await openLog(place.log);
  try {
    const offset = (await log.stat()).size;
    const args = ['-D', place.cluster, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const child = spawn(binaries.postgres, args, {
      ...spawnAs(place.account), cwd: '/', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, detached: true, stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    return {
      pid: child.pid ?? 0, socketFolder, adopted: false,
      alive: async () => child.exitCode === null && child.signalCode === null,
      output: () => tailSince(place.log, offset),
    };
  } finally {
    await log.close();
  }
}

/** The living postmaster of this cluster, if there is one. */
export async function findPostmaster(place: Place): Promise<Postmaster | null> {
  const lines = (await readFile(join(place.cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  const folder = lines[4];
  if (!Number.isSafeInteger(pid) || pid <= 1 || !folder || !(await isOurs(pid, place.name))) return null;
  return { pid, socketFolder: folder, adopted: true, alive: () => isOurs(pid, place.name), output: async () => '' };
}

/**
 * Removes lock files that name a living process which is not PostgreSQL: after a restart of the machine or container
 * the number may belong to anybody (or to a zombie that nobody reaps), and PostgreSQL would refuse to start for ever.
 * The same for an empty one, which a full disk or a power cut leaves, once it was seen `tries` times: another postmaster
 * may be about to fill it. Every other stale lock PostgreSQL recognises itself. Answers false while backends of the dead
 * postmaster still live: then the files must stay.
 */
export async function clearStaleLock(place: Place, socketFolder: string, tries: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const file = join(place.cluster, 'postmaster.pid');
  const text = await readFile(file, 'utf8').catch(() => null);
  const pid = Number(text?.split('\n')[0]);
  const foreign = pid > 0 && signalReaches(pid) && !(await isOurs(pid, place.name));
  if (!foreign && !(text === '' && tries > EMPTY_TRIES)) return true;
  if ((await processesOf(place.name)).length > 0) return false;
  const socket = join(socketFolder, `.s.PGSQL.${place.port}`);
  for (const path of [file, socket, `${socket}.lock`]) await rm(path, { force: true });
  return true;
}

/**
 * Fast shutdown (SIGINT), after 15 s or as soon as `hurry` aborts at the price of a recovery (SIGQUIT), after 5 s more by
 * force. Resolves when it is gone.
 */
export async function endPostmaster(postmaster: Postmaster, hurry: AbortSignal | null = null): Promise<void> {
  for (const [signal, patience] of [['SIGINT', FAST_MS], ['SIGQUIT', IMMEDIATE_MS], ['SIGKILL', IMMEDIATE_MS]] as const) {
    if (!(await postmaster.alive())) return;
    const isHurried = () => signal === 'SIGINT' && hurry?.aborted === true;
    if (isHurried()) continue;
    try {
      process.kill(postmaster.pid, signal);
    } catch {
      // Gone in between.
    }
    for (let waited = 0; waited < patience && !isHurried(); waited += LOOK_MS) {
      await sleep(LOOK_MS);
      if (!(await postmaster.alive())) return;
    }
  }
}

/**
 * A pid says little: it may have been given to another process. The command line of our postmaster holds the cluster's
 * name; that of a zombie is empty. (`/proc/<pid>/cwd` would say more, but in a container root may not read it.)
 */
async function isOurs(pid: number, name: string): Promise<boolean> {
  return process.platform === 'linux' ? (await commandLine(pid)).includes(name) : signalReaches(pid);
}

/** True for a zombie too. */
function signalReaches(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Every process of the cluster: PostgreSQL shows the cluster's name in the titles of all its processes. */
async function processesOf(name: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1 && pid !== process.pid);
  const found = await Promise.all(pids.map(async (pid) => ((await commandLine(pid)).includes(name) ? [pid] : [])));
  return found.flat();
}

/** Empty unless it is a postmaster as we start them, or one of its children. */
async function commandLine(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.startsWith('postgres:') || text.includes('postgres\0-D') ? text : '';
}

/** Opens the log to append; a large one is put aside first, one generation. */
async function openLog(path: string): Promise<FileHandle> {
  const size = await stat(path).then((found) => found.size, () => 0);
  if (size > LOG_LIMIT) await rename(path, `${path}.1`);
  return open(path, 'a', 0o600);
}
