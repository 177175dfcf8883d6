import { readFile } from 'node:fs/promises';
import { Refusal } from '#domain/refusal.ts';
import type { Credentials } from './cluster.ts';
import { optionsFor, type ConnectionOptions } from './connect.ts';
import { choosePlace, exists, SOCKET_PORT } from './place.ts';
import { findPostmaster } from './postmaster.ts';

/**
 * How to connect to the embedded store beside the Brevet that runs it; null when it does not run. For commands on its
 * host: whoever reads the store's passwords. Never makes a store. @throws Refusal `not_found` where there is none
 */
export async function joinEmbedded(dataFolder: string, systemFolder = '/var/lib/brevet'): Promise<ConnectionOptions | null> {
  if (!(await exists(dataFolder))) {
    throw new Refusal('not_found', `there is no database in ${dataFolder}`, { hint: 'Name the settings of the server (--config FILE, BREVET_DATA, DATABASE_URL), on its host.' });
  }
  const place = await choosePlace(dataFolder, systemFolder, SOCKET_PORT);
  const running = await findPostmaster(place);
  if (running === null) return null;
  const text = await readFile(place.credentials, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refusal('forbidden', `${place.credentials} can't be read: ${error.code ?? 'unknown error'}`, { hint: 'Run this as the user that runs Brevet.' });
  });
  return optionsFor(running.socketFolder, place.port, 'brevet', JSON.parse(text) as Credentials);
}
