/**
 * The PostgreSQL server that tests make their databases on: `TEST_DATABASE_URL` if it is set (a role that may create
 * databases, PostgreSQL 15 or newer), else an embedded server in the temporary folder. `test/run.ts` starts one for all
 * files of a run; a file that runs alone starts its own. The folder is kept for the next run, which starts within 0.1 s,
 * and a server that a killed run left behind is taken over.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refusal } from '#domain/refusal.ts';
import { startEmbedded, type EmbeddedStore } from '#store/embedded/start-embedded.ts';

const SLOTS = 10;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

export interface TestStore extends AsyncDisposable {
  /** Of a superuser, with the database `postgres`. Understood by `pg` and by libpq. */
  readonly url: string;
}

/** Starts the embedded server of this checkout; of several runs at once, each gets one of ten. */
export async function startTestStore(): Promise<TestStore> {
  const checkout = createHash('sha256').update(import.meta.dirname).digest('hex').slice(0, 8);
  const parent = join(tmpdir(), `brevet-test-${process.getuid?.() ?? 0}-${checkout}`);
  await mkdir(parent, { recursive: true });
  await chmod(parent, 0o711);
  for (let slot = 0; slot < SLOTS; slot++) {
    const store = await startSlot(join(parent, String(slot)));
    if (store === null) continue;
    // Whatever ends this process, the server does not stay behind.
    const end = () => {
      try {
        process.kill(store.pid, 'SIGINT');
      } catch {
        // It is gone already.
      }
    };
    process.once('exit', end);
    const { user, password, host, database } = { ...store.adminOptions, database: 'postgres' };
    return {
      url: `postgresql://${user}:${encodeURIComponent(password)}@${encodeURIComponent(host)}/${database}`,
      async [Symbol.asyncDispose]() {
        await store.stop();
        process.off('exit', end);
      },
    };
  }
  throw new Error(`all ${SLOTS} test servers under ${parent} are in use`);
}

/** Null when another run has it. Data that does not start is of no worth here: it is made anew. */
async function startSlot(dataFolder: string, again = false): Promise<EmbeddedStore | null> {
  try {
    return await startEmbedded({
      dataFolder, runtimeFolders: [tmpdir()], random: { bytes: randomBytes }, journal: quiet, systemFolder: `${dataFolder}-system`,
      settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' },
    });
  } catch (error) {
    if (error instanceof Refusal && error.code === 'conflict') return null;
    if (again) throw error;
    await rm(dataFolder, { recursive: true, force: true });
    return startSlot(dataFolder, true);
  }
}
