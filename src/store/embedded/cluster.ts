/** Makes a cluster, so that a kill at any instant leaves either nothing that counts or the whole. */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Random } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';
import { spawnAs } from './account.ts';
import type { Binaries } from './binaries.ts';
import { failedStart, onDisk } from './failures.ts';
import { exists, type Place } from './place.ts';

const run = promisify(execFile);
const HALF_MADE = '.initdb-';

/** Passwords of the two roles of the store; the file is 0600 and PostgreSQL only keeps SCRAM verifiers. */
export interface Credentials {
  /** The superuser `postgres`: the supervisor's own. */
  readonly postgres: string;
  /** `brevet`, who owns the database `brevet` and nothing else. */
  readonly brevet: string;
}

/** Makes the cluster when there is none, and answers the credentials. @throws Refusal `unsupported` for another major version. */
export async function ensureCluster(place: Place, binaries: Binaries, random: Random): Promise<Credentials> {
  if (!(await exists(place.database))) await initialise(place, binaries, random);
  await checkVersion(place, binaries);
  const text = await readFile(place.credentials, 'utf8').catch(() => null);
  if (text === null) {
    throw new Refusal('invalid_configuration', `The database's passwords are missing: ${place.credentials}.`, {
      field: place.credentials, hint: 'Restore the file from the backup of the data folder.',
    });
  }
  return JSON.parse(text) as Credentials;
}

/** Removes what killed starts left. Only for who holds the store: another start may be at work until then. */
export async function sweepHalfMade(place: Place): Promise<void> {
  for (const name of await readdir(place.folder)) {
    if (!name.startsWith(HALF_MADE) && !name.startsWith('.copying-')) continue;
    // An initdb whose parent was killed may still be writing there: the next start tries again.
    await rm(join(place.folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function initialise(place: Place, binaries: Binaries, random: Random): Promise<void> {
  const { account } = place;
  const half = await onDisk(place.folder, () => mkdtemp(join(place.folder, HALF_MADE)));
  try {
    const cluster = join(half, 'cluster');
    const passwordFile = join(half, 'superuser');
    const credentials: Credentials = { postgres: newPassword(random), brevet: newPassword(random) };
    await onDisk(place.folder, async () => {
      await mkdir(cluster, { mode: 0o700 });
      await writeFile(passwordFile, credentials.postgres, { mode: 0o600 });
      if (account.steppedDown) {
        // The folder stays root's: the account passes through it to its cluster and changes nothing else.
        await chmod(half, 0o711);
        for (const path of [cluster, passwordFile]) await chown(path, account.uid, account.gid);
      }
    });
    await runInitdb(place, binaries, cluster, passwordFile);
    await onDisk(place.folder, async () => {
      await rm(passwordFile);
      await writeDurably(join(half, 'credentials.json'), JSON.stringify(credentials));
      await syncFolder(half);
      await rename(half, place.database);
      await syncFolder(place.folder);
    });
  } catch (error) {
    await rm(half, { recursive: true, force: true }).catch(() => undefined);
    // Somebody else was faster: theirs is the one.
    if (!(await exists(place.database))) throw error;
  }
}

async function runInitdb(place: Place, binaries: Binaries, cluster: string, passwordFile: string): Promise<void> {
  const options = [
    '-D', cluster, '-U', 'postgres', `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-E', 'UTF8',
    // PostgreSQL's own C.UTF-8: sorts the same on every machine, whatever its C library.
    '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C',
  ];
  try {
    await run(binaries.initdb, options, { ...spawnAs(place.account), cwd: '/', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } });
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw failedStart(stderr || message, place.folder);
  }
}

async function checkVersion(place: Place, binaries: Binaries): Promise<void> {
  const text = await readFile(join(place.cluster, 'PG_VERSION'), 'utf8').catch((error: Error) => {
    throw new Refusal('invalid_configuration', `The data in ${place.database} is incomplete: ${error.message}`, { field: place.database, hint: 'Restore the data folder from a backup.' });
  });
  const major = Number.parseInt(text, 10);
  if (major === binaries.major) return;
  throw new Refusal('unsupported', `The data in ${place.database} is of PostgreSQL ${text.trim()}, and this Brevet brings ${binaries.version}.`, {
    field: place.database,
    hint: major > binaries.major
      ? 'Start it with the newer Brevet that made it, or restore a backup of before into an empty data folder.'
      : `Dump it with the Brevet that made it (pg_dump ${text.trim()}) and restore the dump into an empty data folder.`,
  });
}

function newPassword(random: Random): string {
  return Buffer.from(random.bytes(24)).toString('base64url');
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
  await file.close();
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync();
  await folder.close();
}
