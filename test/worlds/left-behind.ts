/**
 * Test servers whose test process was killed: nobody disposes them any more, and those that a test had stopped (SIGSTOP) would
 * stay for ever, as their processes notice nothing. Each says in its folder whose it is; the next run of the same checkout ends
 * those of the dead.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const FOLDERS = 'brevet-pg-';
const OWNER = 'owner.json';
const CHECKOUT = createHash('sha256').update(import.meta.dirname).digest('hex').slice(0, 16);

interface Owner {
  readonly checkout: string;
  readonly pid: number;
  /** As the kernel counts: a number is given again. */
  readonly started: string;
}

/** When a process began, in ticks since the machine did; null when there is none. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  // Behind the program's name, which may hold anything, the 20th field.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

export async function sign(folder: string): Promise<void> {
  const owner: Owner = { checkout: CHECKOUT, pid: process.pid, started: (await startOf(process.pid)) ?? '' };
  await writeFile(join(folder, OWNER), JSON.stringify(owner));
}

/** Ends what dead test processes of this checkout left, and deletes its folders. Answers how many. */
export async function sweepLeftBehind(): Promise<number> {
  let swept = 0;
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(FOLDERS)) continue;
    const folder = join(tmpdir(), name);
    const owner = await readFile(join(folder, OWNER), 'utf8').then((text) => JSON.parse(text) as Owner, () => null);
    if (owner?.checkout !== CHECKOUT || (await startOf(owner.pid)) === owner.started) continue;
    for (const pid of await processesIn(folder)) kill(pid);
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
    swept += 1;
  }
  return swept;
}

/** PostgreSQL's processes stand in the data folder, the postmaster and all it began. */
async function processesIn(folder: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 1);
  const inside = await Promise.all(pids.map(async (pid) => ((await readlink(`/proc/${pid}/cwd`).catch(() => '')).startsWith(`${folder}/`) ? [pid] : [])));
  return inside.flat();
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL'); // reaches stopped ones as well
  } catch {
    // It has gone meanwhile.
  }
}
