/**
 * As whom PostgreSQL runs. It refuses to run as root, and so do we: as root, Brevet steps down to the owner of the data
 * if that is somebody else, else to `postgres`, else to `nobody`.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Refusal } from '#domain/refusal.ts';

const run = promisify(execFile);

export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** Whether we are root, so that children must be spawned with another uid. */
  readonly steppedDown: boolean;
}

/** What `spawn` needs to run something as this account. */
export function spawnAs(account: Account): { uid?: number; gid?: number } {
  return account.steppedDown ? { uid: account.uid, gid: account.gid } : {};
}

/**
 * Chooses the account. The owner of the first existing of `folders` decides, unless that is root; an existing cluster
 * must come first in the list, because PostgreSQL only opens data of its own uid.
 */
export async function chooseAccount(folders: readonly string[]): Promise<Account> {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  if (uid === undefined || gid === undefined) throw new Refusal('unsupported', 'The embedded PostgreSQL needs Linux or macOS.', { hint: 'Set DATABASE_URL to a PostgreSQL server.' });
  if (uid !== 0) return { uid, gid, steppedDown: false };
  for (const folder of folders) {
    const owner = await stat(folder).catch(() => null);
    if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, steppedDown: true };
  }
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const name of ['postgres', 'nobody']) {
    const found = new RegExp(`^${name}:[^:]*:([0-9]+):([0-9]+):`, 'm').exec(users);
    if (found && Number(found[1]) > 0) return { uid: Number(found[1]), gid: Number(found[2]), steppedDown: true };
  }
  throw new Refusal('unsupported', 'PostgreSQL must not run as root, and there is neither a user "postgres" nor "nobody".', {
    hint: 'Give the data folder to an unprivileged user, start Brevet as such a user, or set DATABASE_URL.',
  });
}

/** Whether the account can enter this folder: a clone under /root (0700) is closed to everybody else. */
export async function canEnter(account: Account, folder: string): Promise<boolean> {
  if (!account.steppedDown) return true;
  const options = { ...spawnAs(account), cwd: '/', env: { PATH: '/usr/bin:/bin' } };
  return run('test', ['-x', folder], options).then(() => true, () => false);
}
