/** Turns what initdb, the postmaster and the file system complain about into one of our refusals. */
import { open } from 'node:fs/promises';
import { Refusal } from '#domain/refusal.ts';

const USE_OTHER_SERVER = 'Or set DATABASE_URL to a PostgreSQL server of your own.';

/** A start that may succeed when tried again: another postmaster, or what is left of one, still holds the folder. */
export class StillHeld extends Error {
  override readonly name = 'StillHeld';
}

/** Reads what was appended to a log file since `offset`, at most the last 16 KiB of it. */
export async function tailSince(file: string, offset: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => null);
  if (!handle) return '';
  try {
    const { size } = await handle.stat();
    const from = Math.max(offset, size - 16_384);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.max(0, size - from)), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The error for a program of PostgreSQL that ended with this output, while working on `folder`. */
export function failedStart(output: string, folder: string): Error {
  if (/lock file ".*" (already exists|is empty)|bogus data in lock file|pre-existing shared memory block/.test(output)) return new StillHeld(lastComplaint(output));
  if (/No space left on device|Disk quota exceeded|Check free disk space/i.test(output)) return diskFull(folder);
  if (/incompatible with server/.test(output)) return new Refusal('unsupported', `The data in ${folder} was made by another version of PostgreSQL.`, { hint: USE_OTHER_SERVER });
  if (/Permission denied|wrong ownership|Read-only file system/i.test(output)) return notWritable(folder, lastComplaint(output));
  return new Refusal('unavailable', `The embedded PostgreSQL did not start: ${lastComplaint(output)}`, { field: folder });
}

/** Wraps a step on the file system, so that a full disk or a forbidden folder is told as such. */
export async function onDisk<T>(folder: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw diskFull(folder);
    const why = WHY[code];
    if (why !== undefined) throw notWritable(folder, `${why} (${code}).`);
    throw error;
  }
}

/** What the system's answers mean for a folder that is to be made or written to. */
const WHY: Readonly<Record<string, string>> = {
  EACCES: 'the user that runs Brevet may not write there',
  EPERM: 'the user that runs Brevet may not write there',
  EROFS: 'the file system there is read-only',
  ENOTDIR: 'it is a file, or lies below one',
  EEXIST: 'it is a file, or lies below one',
  ENOENT: 'no folder can be made there',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'links there lead in a circle',
};

export function diskFull(folder: string): Refusal {
  return new Refusal('unavailable', `The disk is full: nothing can be written in ${folder}.`, {
    field: folder, hint: 'Free some space and start again; nothing that was confirmed is lost.',
  });
}

function notWritable(folder: string, why: string): Refusal {
  return new Refusal('invalid_configuration', `The data folder ${folder} cannot be used: ${why.replace(/\.?$/, '.')}`, {
    field: folder, hint: `Give the folder to the user that runs Brevet, or choose another by BREVET_DATA. ${USE_OTHER_SERVER}`,
  });
}

function lastComplaint(output: string): string {
  const lines = output.trim().split('\n');
  const found = lines.findLast((line) => /FATAL|PANIC|error:|could not/.test(line)) ?? lines.at(-1) ?? '';
  return found.replace(/^.*?(FATAL|PANIC): +/, '').trim() || 'it said nothing';
}
