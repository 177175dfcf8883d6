/**
 * Who this machine is signed in as: `profile.json` (no secret) and `key.pem` (the private key, which never leaves it) in
 * one folder of mode 0700. Both are replaced as a whole, so that a crash leaves the old sign-in or the new one.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CliDeps } from '../deps.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

export interface Profile {
  /** An origin: `https://brevet.example`, no path. */
  readonly server: string;
  readonly keyId: string;
  readonly principal: { readonly id: string; readonly kind: string; readonly name: string };
  readonly label: string;
  readonly signedInAt: string;
  /** The log's verifier key as it was at the sign-in: what later verifications trust. */
  readonly logKey: string | null;
}

export interface SignedInProfile extends Profile {
  readonly privateKey: KeyObject;
}

export function profileFolder({ env, home }: Pick<CliDeps, 'env' | 'home'>): string {
  return env['BREVET_HOME'] || join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'brevet');
}

/** The sign-in in this folder; null when there is none. @throws Failure when it is damaged or others could have read it */
export async function readProfile(folder: string): Promise<SignedInProfile | null> {
  const text = await readPrivate(join(folder, 'profile.json'));
  const pem = await readPrivate(join(folder, 'key.pem'));
  if (text === null || pem === null) return null;
  try {
    const profile = JSON.parse(text) as Profile;
    if (typeof profile.server !== 'string' || typeof profile.keyId !== 'string') throw new TypeError('incomplete');
    return { ...profile, privateKey: createPrivateKey(pem) };
  } catch {
    // The parser's message might quote the key.
    throw new Failure(EXIT.unauthenticated, `the sign-in in ${folder} is damaged`, `Remove ${folder} and sign in again with brevet login.`);
  }
}

export async function writeProfile(folder: string, profile: Profile, privateKeyPem: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await replaceFile(join(folder, 'key.pem'), privateKeyPem);
  await replaceFile(join(folder, 'profile.json'), `${JSON.stringify(profile, null, 2)}\n`);
}

export async function removeProfile(folder: string): Promise<void> {
  await rm(join(folder, 'profile.json'), { force: true });
  await rm(join(folder, 'key.pem'), { force: true });
}

/** Writes a file of mode 0600 that never existed with another one, and is never half there. */
async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}

/** Reads through one descriptor, so that what was checked is what is read. */
async function readPrivate(path: string): Promise<string | null> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new Failure(EXIT.unauthenticated, `${path} can not be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new Failure(EXIT.unauthenticated, `${path} can be read or changed by others (mode ${(mode & 0o777).toString(8)})`, `Take that from them: chmod 600 ${path}. If somebody may have read it, then run brevet logout: it revokes the key. Sign in with a new link.`);
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
