import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Children, Journal } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';
import { startEmbedded, type EmbeddedStore } from '#store/embedded/start-embedded.ts';
import { migrate } from '#store/migrate.ts';
import { openPool } from '#store/pool.ts';
import { random } from './runtime.ts';
import type { Settings } from './settings.ts';

export interface OpenedStore {
  readonly pool: pg.Pool;
  readonly embedded: EmbeddedStore | null;
  /** For `brevet doctor`: where the truth is, without secrets. */
  readonly description: string;
  close(): Promise<void>;
}

/** Opens the embedded store or the given database, and brings its schema up to date. @throws Refusal `unavailable` and more */
export async function openStore(settings: Settings, version: string, journal: Journal, children: Children): Promise<OpenedStore> {
  await mkdir(settings.data, { recursive: true, mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal('invalid_configuration', `the data folder ${settings.data} can't be made: ${error.code}`, { hint: 'Set another by BREVET_DATA.' });
  });
  const runtimeFolders = [process.env['XDG_RUNTIME_DIR'], tmpdir()].filter((folder) => folder !== undefined && folder !== '') as string[];
  const embedded = settings.database === null ? await startEmbedded({ dataFolder: `${settings.data}/store`, runtimeFolders, random, journal, children }) : null;
  const connection = embedded?.connectionOptions ?? (settings.database as string);
  try {
    const client = new pg.Client(typeof connection === 'string' ? { connectionString: connection, connectionTimeoutMillis: 5000 } : connection);
    await client.connect().catch((error: Error) => {
      throw new Refusal('unavailable', `the database can't be reached: ${error.message}`, { hint: 'Check DATABASE_URL, and that the server runs.' });
    });
    try {
      const applied = await migrate(client, fileURLToPath(new URL('../store/migrations', import.meta.url)), version);
      if (applied.length > 0) journal.info('the schema was brought up to date', { migrations: applied });
    } finally {
      await client.end();
    }
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  const pool = openPool({ connection, max: settings.connections });
  // While the pool closes, the server may end a connection first; without a handler that would end the process.
  pool.on('error', () => undefined);
  const close = async () => {
    await pool.end();
    await embedded?.stop();
  };
  return { pool, embedded, close, description: embedded ? `embedded PostgreSQL in ${embedded.folder}` : 'the PostgreSQL of DATABASE_URL' };
}
