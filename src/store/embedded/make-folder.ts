import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { onDisk } from './failures.ts';

/**
 * Makes a folder and those above it, as `mkdir -p` does. Node's own recursive mkdir runs for ever where the system says
 * of a folder that can't be made that it is not there, as below /proc.
 * @throws Refusal `invalid_configuration`, `unavailable`
 */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  await onDisk(folder, () => make(folder, mode));
}

async function make(folder: string, mode: number): Promise<void> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (found?.isDirectory()) return;
  if (found) throw Object.assign(new Error('it is no folder'), { code: 'ENOTDIR' });
  if (dirname(folder) !== folder) await make(dirname(folder), mode);
  await mkdir(folder, { mode }).catch(async (error: NodeJS.ErrnoException) => {
    // Somebody else was faster.
    if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error;
  });
}
