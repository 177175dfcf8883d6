/**
 * Root keys in files beside the data: `root.key`, and after rotations `root.key.2`, `root.key.3` ... The highest number
 * is the newest. A key file is never written twice and never replaced, so that no race and no crash can lose a key.
 */
import { link, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Random } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';
import { KEY_BYTES, parseRootKey, type KeyProvider, type RootKey } from './root-key.ts';

export interface KeyFileOptions {
  /** The first key's file; the folder must exist. */
  readonly path: string;
  readonly random: Random;
  /**
   * `create` on a fresh data folder only. With sealed rows already in the store a missing key is a disaster to report,
   * not a reason to make another key: `refuse`.
   */
  readonly whenMissing: 'create' | 'refuse';
}

const HEADER = '# A root key of Brevet. Whoever reads it reads every stored secret; without it none can be opened. Keep a copy apart.\n';
const LARGEST_FILE = 4096;

export function fileKeyProvider(options: KeyFileOptions): KeyProvider {
  const { path, random, whenMissing } = options;
  return {
    id: `file:${path}`,
    rootKeys: async () => {
      let numbers = await keyNumbers(path);
      if (numbers.length === 0 && whenMissing === 'create') {
        await placeNewKey(path, random, null); // losing the race is as good as winning it
        numbers = await keyNumbers(path);
      }
      if (numbers.length === 0) {
        throw new Refusal('invalid_configuration', `there is no root key at ${path}`, {
          field: path,
          hint: 'Put it back from your backup: the stored secrets open with no other key.',
        });
      }
      return Promise.all(numbers.map((number) => readKey(numbered(path, number))));
    },
  };
}

/** Adds a key that is the newest wherever keys are loaded from then on. Every process loads it before a row is sealed under it. */
export async function addKeyFile(path: string, random: Random): Promise<RootKey> {
  for (;;) {
    const newest = (await keyNumbers(path))[0] ?? 0;
    const file = numbered(path, newest + 1);
    // Another process that rotates at the same moment takes this number; then the next one is ours.
    if (await placeNewKey(file, random, newest === 0 ? null : numbered(path, newest))) return readKey(file);
  }
}

/** Deletes the files of these keys. Only when nothing is sealed under them. Answers the ids of those it found, newest first. */
export async function deleteKeyFiles(path: string, ids: readonly string[]): Promise<readonly string[]> {
  const deleted: string[] = [];
  for (const number of await keyNumbers(path)) {
    const file = numbered(path, number);
    const { id } = await readKey(file);
    if (!ids.includes(id)) continue;
    await unlink(file);
    deleted.push(id);
  }
  await syncFolder(dirname(path));
  return deleted;
}

function numbered(path: string, number: number): string {
  return number === 1 ? path : `${path}.${number}`;
}

/** The numbers of the key files that exist, highest first. */
async function keyNumbers(path: string): Promise<number[]> {
  const base = basename(path);
  const names = await readdir(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(dirname(path), error);
  });
  return names
    .map((name) => (name === base ? 1 : Number(name.startsWith(`${base}.`) && /^[1-9]\d{0,5}$/.exec(name.slice(base.length + 1))?.[0])))
    .filter((number) => number >= 1)
    .sort((a, b) => b - a);
}

/**
 * Puts a fresh key at `file` unless something is there, and says whether it did. The key is complete and on disk under
 * a temporary name before it appears under its own. `link` and not `rename`: rename would silently replace the key
 * that another process has just made and may already have used. It belongs to the owner of `like`.
 */
async function placeNewKey(file: string, random: Random, like: string | null): Promise<boolean> {
  const temporary = `${file}.${Buffer.from(random.bytes(8)).toString('hex')}.new`;
  const handle = await open(temporary, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(file, error);
  });
  try {
    try {
      if (like !== null) await giveToOwnerOf(like, handle);
      await handle.writeFile(`${HEADER}${Buffer.from(random.bytes(KEY_BYTES)).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unreadable(file, error as NodeJS.ErrnoException);
  } finally {
    await unlink(temporary);
  }
  await syncFolder(dirname(file));
  return true;
}

/** When root rotates, the server must be able to read the new key as it reads the one before. */
async function giveToOwnerOf(like: string, handle: FileHandle): Promise<void> {
  const [ours, theirs] = [await handle.stat(), await stat(like)];
  if (ours.uid !== theirs.uid) await handle.chown(theirs.uid, theirs.gid);
}

async function readKey(file: string): Promise<RootKey> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    throw unreadable(file, error);
  });
  try {
    await checkGuarded(handle, file); // on the open file, so that it can't be swapped in between
    const text = await handle.readFile('utf8');
    const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
    return parseRootKey(lines.length === 1 ? String(lines[0]) : '', file);
  } finally {
    await handle.close();
  }
}

async function checkGuarded(handle: FileHandle, file: string): Promise<void> {
  const found = await handle.stat();
  if (!found.isFile() || found.size > LARGEST_FILE) throw new Refusal('invalid_configuration', `${file} is not a key file`, { field: file });
  if ((found.mode & 0o177) !== 0) {
    const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
    throw new Refusal('invalid_configuration', `${file} has mode ${mode}: others than its owner could use the root key`, {
      field: file,
      hint: `chmod 600 ${file} - and rotate the key if somebody may have read it.`,
    });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(join(folder, '.'), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unreadable(path: string, error: NodeJS.ErrnoException): Refusal {
  return new Refusal('invalid_configuration', `the root key at ${path} can't be reached: ${error.code ?? 'unknown error'}`, {
    field: path,
    hint: 'The folder must exist, belong to the user that runs Brevet, have free space and allow hard links.',
  });
}
