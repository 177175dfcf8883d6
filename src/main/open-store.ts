import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Children, Journal } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';
import { joinEmbedded } from '#store/embedded/join-embedded.ts';
import { startEmbedded, type EmbeddedStore } from '#store/embedded/start-embedded.ts';
import { makeFolder } from '#store/embedded/make-folder.ts';
import { migrate } from '#store/migrate.ts';
import { openPool } from '#store/pool.ts';
import { random } from './runtime.ts';
import { readStoreAddress } from './store-address.ts';
import type { Settings } from './settings.ts';

export interface OpenedStore {
  readonly pool: pg.Pool;
  readonly embedded: EmbeddedStore | null;
  /** For `brevet doctor`: where the truth is, without secrets. */
  readonly description: string;
  /** Whether the way there can be read and changed by others. */
  readonly exposed: boolean;
  close(): Promise<void>;
}

/**
 * Opens the embedded store or the given database, and brings its schema up to date. With `join` an embedded store that a
 * running server looks after is used beside it. @throws Refusal `unavailable` and more
 */
export async function openStore(settings: Settings, version: string, journal: Journal, children: Children, { join = false } = {}): Promise<OpenedStore> {
  await makeFolder(settings.data, 0o711);
  const runtimeFolders = [process.env['XDG_RUNTIME_DIR'], tmpdir()].filter((folder) => folder !== undefined && folder !== '') as string[];
  const joined = join && settings.database === null ? await joinEmbedded(`${settings.data}/store`) : null;
  const embedded = settings.database === null && joined === null ? await startEmbedded({ dataFolder: `${settings.data}/store`, runtimeFolders, random, journal, children }) : null;
  const own = settings.database === null ? null : readStoreAddress(settings.database);
  const connection = embedded?.connectionOptions ?? joined ?? own?.connection ?? {};
  try {
    const client = new pg.Client(own ? { ...connection, connectionTimeoutMillis: 5000 } : connection);
    await client.connect().catch((error: Error) => {
      throw refusalOf(error);
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
  const description = own ? `the PostgreSQL of DATABASE_URL, ${own.protection}` : `embedded PostgreSQL in ${embedded?.folder ?? settings.data}`;
  return { pool, embedded, close, description, exposed: own?.exposed ?? false };
}

/** What keeps us out of the given database, and what to do. The address, which holds the password, is not repeated. */
function refusalOf(error: Error & { code?: string }): Refusal {
  const { code = '', message } = error;
  const [why, hint] =
    code === 'ECONNREFUSED' ? ['nothing listens there', 'Check host and port in DATABASE_URL, and that the server runs.']
    : code === 'ENOTFOUND' || code === 'EAI_AGAIN' ? ['its host name is not known', 'Check the host name in DATABASE_URL.']
    : code === '28P01' || code === '28000' ? ['it does not let us in', 'Check user and password in DATABASE_URL, and pg_hba.conf of the server.']
    : code === '3D000' ? ['there is no such database on the server', 'Make it: createdb -O USER NAME.']
    : code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? ['its certificate is for another name', "The host in DATABASE_URL has to be one that the certificate names; sslmode=verify-ca leaves the name out, where sslrootcert is an authority of your own."]
    : code === 'CERT_HAS_EXPIRED' ? ["the server's certificate has expired", 'Renew it there.']
    : /^(?:CERT_|DEPTH_|SELF_|UNABLE_)/.test(code) ? ['its certificate is by no authority that is trusted', "Add sslrootcert=FILE to DATABASE_URL: the certificate of the authority that signed the server's, in PEM, or the server's own if it signed itself."]
    : /does not support SSL/.test(message) ? ['it does not speak TLS, and sslmode asks for it', 'Turn ssl on in the server; on this machine or a network that you trust, leave sslmode out.']
    : ['it does not answer as it should', 'Check DATABASE_URL, and that the server runs.'];
  return new Refusal('unavailable', `the database can't be used: ${why} (${message})`, { field: 'DATABASE_URL', hint });
}
