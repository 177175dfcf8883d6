import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '#store/embedded/start-embedded.ts';

export interface DurableStore extends AsyncDisposable {
  /** Of a superuser; benchmarks make their own databases on it. */
  readonly url: string;
}

/**
 * The PostgreSQL that benchmarks keep Brevet's store on: `TEST_DATABASE_URL`, else the embedded one as it is shipped,
 * which writes every commit to the disk (the one that tests use does not).
 */
export async function durableStore(): Promise<DurableStore> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') return { url: given, [Symbol.asyncDispose]: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), 'brevet-bench-store-'));
  await chmod(folder, 0o711);
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const store = await startEmbedded({
    dataFolder: join(folder, 'data'), systemFolder: join(folder, 'system'), runtimeFolders: [tmpdir()], random: { bytes: randomBytes }, journal: quiet,
  });
  const end = () => {
    try {
      process.kill(store.pid, 'SIGINT');
    } catch {
      // It is gone already.
    }
  };
  process.once('exit', end);
  const { user, password, host } = store.adminOptions;
  return {
    url: `postgresql://${user}:${encodeURIComponent(password)}@${encodeURIComponent(host)}/postgres`,
    async [Symbol.asyncDispose]() {
      await store.stop();
      process.off('exit', end);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
