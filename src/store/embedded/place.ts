/** Where the embedded store keeps what: its folder, and the short run-time folder for the socket. */
import { createHash } from 'node:crypto';
import { chown, lstat, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '#domain/refusal.ts';
import { canEnter, chooseAccount, type Account } from './account.ts';
import { onDisk } from './failures.ts';
import { makeFolder } from './make-folder.ts';

/** `sun_path` holds 108 bytes with the closing zero. */
const SOCKET_PATH_LIMIT = 107;
/** Names the socket file only; nothing listens on TCP. */
export const SOCKET_PORT = 5432;
const POINTER = 'database-is-in.txt';

export interface Place {
  /** Holds everything below, the server's log, and at times a copy of the programs. */
  readonly folder: string;
  /** Cluster and credentials, which come into being together by one rename. */
  readonly database: string;
  /** PostgreSQL's own data directory. */
  readonly cluster: string;
  readonly credentials: string;
  readonly log: string;
  /** Shown in the command line of every process of this store, and of no other. */
  readonly name: string;
  readonly account: Account;
  /** Names the socket, and is the TCP port of a server that was told to listen on an address. */
  readonly port: number;
  /** Whether it is not where it was asked for. */
  readonly moved: boolean;
}

/**
 * Decides on the folder and makes it. When Brevet runs as root and the folder can't be reached by the account that
 * PostgreSQL runs as, the store moves to `<systemFolder>/<hash>` and a note in the data folder says so for good.
 */
export async function choosePlace(dataFolder: string, systemFolder: string, port: number): Promise<Place> {
  await makeFolder(dataFolder, 0o711);
  const asked = await realpath(dataFolder);
  const moved = await readFile(join(asked, POINTER), 'utf8').catch(() => null);
  if (moved !== null) return placeIn(await stillThere(moved.trim(), join(asked, POINTER)), port, true);
  const place = await placeIn(asked, port);
  if (await canEnter(place.account, asked)) return place;
  if (await exists(place.cluster)) {
    throw new Refusal('invalid_configuration', `The user that PostgreSQL runs as (uid ${place.account.uid}) cannot enter ${asked} any more.`, {
      field: asked, hint: 'Let others pass through the folders above it (chmod o+x), or move the data folder.',
    });
  }
  const other = join(systemFolder, shortHash(asked));
  await makeFolder(other, 0o711);
  await onDisk(asked, () => writeFile(join(asked, POINTER), `${other}\n`, { mode: 0o644 }));
  return placeIn(other, port, true);
}

/** An empty store in place of a lost one would look like a fresh start: somebody has to decide on that. */
async function stillThere(folder: string, pointer: string): Promise<string> {
  if (await exists(folder)) return folder;
  throw new Refusal('invalid_configuration', `The database was kept in ${folder}, and that folder is gone.`, {
    field: pointer, hint: `Restore the folder from a backup; or, to begin with an empty database, remove ${pointer}.`,
  });
}

async function placeIn(folder: string, port: number, moved = false): Promise<Place> {
  const database = join(folder, 'database');
  const cluster = join(database, 'cluster');
  return {
    folder, database, cluster, port,
    credentials: join(database, 'credentials.json'),
    log: join(folder, 'postgres.log'),
    name: `brevet-${shortHash(folder)}`,
    account: await chooseAccount([cluster, folder]),
    moved,
  };
}

/**
 * A folder for the socket, 0700 and owned by the account, below the first of `candidates` that serves: short enough,
 * and open to the account. @throws Refusal `invalid_configuration` when none does.
 */
export async function socketFolder(place: Place, candidates: readonly string[]): Promise<string> {
  const reasons: string[] = [];
  for (const candidate of candidates) {
    const folder = join(candidate, place.name);
    const socket = join(folder, `.s.PGSQL.${place.port}`);
    if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT) {
      reasons.push(`${candidate} is too long for a socket's path`);
      continue;
    }
    const problem = await claim(folder, place.account);
    if (problem === null && (await canEnter(place.account, folder))) return folder;
    reasons.push(problem ?? `${candidate} is closed to uid ${place.account.uid}`);
  }
  throw new Refusal('invalid_configuration', `No run-time folder for the database's socket: ${reasons.join('; ')}.`, {
    hint: 'Name a short folder of your own, such as /run/brevet.',
  });
}

/** Somebody else may have put a folder or a link there before us: in /tmp everybody can. */
async function claim(folder: string, account: Account): Promise<string | null> {
  try {
    await makeFolder(folder, 0o700);
    const found = await lstat(folder);
    const ours = found.uid === account.uid || found.uid === process.getuid?.();
    if (!found.isDirectory() || !ours || (found.mode & 0o077) !== 0) return `${folder} is not a private folder of ours`;
    if (account.steppedDown) await chown(folder, account.uid, account.gid);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

export function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
