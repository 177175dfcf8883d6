/**
 * `brevet root-key list | rotate | retire`: acts of the host's operator, on the store itself. Whoever may read the root key
 * may do this, whether a server runs or not.
 */
import { listRootKeys } from '#app/root-keys/list-root-keys.ts';
import { retireRootKeys } from '#app/root-keys/retire-root-keys.ts';
import { rotateRootKey } from '#app/root-keys/rotate-root-key.ts';
import type { RootKeyCommands } from '#cli/deps.ts';
import { encodeEntry } from '#log/entry.ts';
import { loadGivenKeys, loadKeyFile, type LoadedKeys } from '#secrets/loaded-keys.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { postgresStore } from '#store/postgres-store.ts';
import { openStore } from './open-store.ts';
import { monotonic, newId, openJournal, random } from './runtime.ts';
import { readSettings, type Settings } from './settings.ts';
import { versionOf } from './version.ts';

interface Pool {
  query(sql: string): Promise<{ rows: unknown[] }>;
}

/** A missing key file is made on a fresh store only, by a server: beside sealed rows it would be a disaster hidden. */
export async function openRootKeys(settings: Settings, pool: Pool, onFresh: 'create' | 'refuse'): Promise<LoadedKeys> {
  if (settings.rootKey !== null) return await loadGivenKeys(settings.rootKey, 'BREVET_ROOT_KEY');
  const known = await pool.query('select 1 from brevet.root_keys limit 1');
  return await loadKeyFile({ path: `${settings.data}/root.key`, random, whenMissing: known.rows.length === 0 ? onFresh : 'refuse' });
}

export function rootKeyCommands(env: Readonly<Record<string, string | undefined>>): RootKeyCommands {
  return {
    list: (config) => using(env, config, async ({ app, loaded }) => ({ provider: loaded.provider, ...(await listRootKeys(app, loaded.keys)) })),
    rotate: (config, tell) => using(env, config, ({ app, loaded }) => rotateRootKey({ app, keys: loaded.keys, monotonic, tell })),
    retire: (config) => using(env, config, ({ app, loaded }) => retireRootKeys(app, loaded.keys)),
  };
}

async function using<T>(env: Readonly<Record<string, string | undefined>>, config: string | null, work: (parts: Awaited<ReturnType<typeof open>>) => Promise<T>): Promise<T> {
  const parts = await open(readSettings(env, config));
  try {
    return await work(parts);
  } finally {
    await parts.close();
  }
}

async function open(settings: Settings) {
  const journal = openJournal('warn');
  const opened = await openStore(settings, versionOf(), journal, new Set(), { join: true });
  try {
    const loaded = await openRootKeys(settings, opened.pool, 'refuse');
    const secrets = makeSecrets(loaded.ring, random);
    const store = postgresStore({ pool: opened.pool, newId, secrets, journal, monotonic, encodeEntry });
    const close = async () => {
      await store[Symbol.asyncDispose]();
      await opened.close();
    };
    return { app: { store, secrets }, loaded, close };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
