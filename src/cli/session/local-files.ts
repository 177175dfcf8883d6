/** The files of a configuration folder, as they stand: read here, judged by the server. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

const MOST_FILES = 500;
const LARGEST_FILE = 1_000_000;

export interface LocalFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const isPolicy = ({ path }: LocalFile): boolean => path.endsWith('.cedar');
export const isPolicyTest = ({ path }: LocalFile): boolean => /\.test\.ya?ml$/.test(path);

/**
 * Every `.yaml`, `.yml` and `.cedar` file below `folder`, by name. Hidden files and links are left out: a link could bring
 * in what was never meant to leave the machine. @throws Failure
 */
export async function readConfiguration(folder: string): Promise<LocalFile[]> {
  const paths = await walk(folder, '', 0).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof Failure) throw error;
    throw new Failure(EXIT.usage, `${folder} can not be read: ${error.code ?? error.message}`, 'It is a folder with .yaml and .cedar files.');
  });
  if (paths.length === 0) throw new Failure(EXIT.usage, `${folder} holds no .yaml or .cedar files`);
  if (paths.length > MOST_FILES) throw new Failure(EXIT.usage, `${folder} holds more than ${MOST_FILES} files`);
  const files: LocalFile[] = [];
  for (const path of paths.sort()) {
    const whole = join(folder, path);
    if ((await stat(whole)).size > LARGEST_FILE) throw new Failure(EXIT.usage, `${whole} is larger than 1 MB`);
    files.push({ path, text: await readFile(whole, 'utf8') });
  }
  return files;
}

async function walk(folder: string, below: string, depth: number): Promise<string[]> {
  if (depth > 20) throw new Failure(EXIT.usage, `${folder} is nested too deeply`);
  const found: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await walk(folder, path, depth + 1)));
    else if (entry.isFile() && /\.(?:ya?ml|cedar)$/.test(entry.name)) found.push(path);
  }
  return found;
}
