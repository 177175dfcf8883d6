/**
 * Wall clocks that can be moved while a server runs: its own and its brokers', apart. Debian's libfaketime answers for the
 * system; what counts up by itself (CLOCK_MONOTONIC) stays true, as it does when somebody sets a machine's clock.
 */
import { globSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isAlive } from './server-process.ts';

export type Whose = 'server' | 'broker';

export interface MovedClocks {
  /** For `spawnServer`. */
  readonly env: Readonly<Record<string, string>>;
  /** By so many seconds from the true time; 0 puts it right. In force within a second. */
  move(whose: Whose, seconds: number): Promise<void>;
}

const LIBRARY = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0];

/** Why clocks can't be moved here, or `null`. */
export const noMovedClocks = (): string | null => (LIBRARY === undefined ? 'there is no libfaketime: apt-get install faketime' : null);

/** `name` tells servers apart that share the folder. */
export async function movedClocks(folder: string, name: string): Promise<MovedClocks> {
  const file = (whose: Whose) => join(folder, `${name}.${whose}.clock`);
  const move = (whose: Whose, seconds: number) => writeFile(file(whose), `${seconds < 0 ? '' : '+'}${seconds}\n`, { mode: 0o644 });
  await move('server', 0);
  await move('broker', 0);
  return {
    move,
    env: {
      LD_PRELOAD: LIBRARY ?? '', FAKETIME_TIMESTAMP_FILE: file('server'), FAKETIME_CACHE_DURATION: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', NO_FAKE_STAT: '1',
      // Brokers start with an empty environment: the server that is tried here gives them their clock.
      TEST_BROKER_CLOCK: file('broker'), NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'give-brokers-a-clock.ts'))}`,
    },
  };
}

/** The library shares memory by process id, and whoever is killed leaves it behind. */
export async function forgetClocksOfTheDead(): Promise<void> {
  for (const name of await readdir('/dev/shm').catch(() => [])) {
    const pid = /^(?:sem\.)?faketime_(?:shm|sem)_(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !(await isAlive(Number(pid)))) await rm(join('/dev/shm', name), { force: true });
  }
}
