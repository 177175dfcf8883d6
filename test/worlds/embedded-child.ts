/**
 * A process that supervises an embedded store until it is told to stop or killed: `node embedded-child.ts <data folder>`.
 * Prints one line of JSON when it is up, or the code and message of the refusal.
 */
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { startEmbedded } from '#store/embedded/start-embedded.ts';
import { Refusal } from '#domain/refusal.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
try {
  const store = await startEmbedded({
    dataFolder: process.argv[2] ?? '', runtimeFolders: [tmpdir()], random: { bytes: randomBytes }, journal: quiet, settings: { fsync: 'off' },
  });
  console.log(JSON.stringify({ pid: store.pid, adopted: store.adopted, options: store.connectionOptions }));
  process.on('SIGTERM', () => void store.stop().then(() => process.exit(0)));
  setInterval(() => undefined, 60_000);
} catch (error) {
  console.log(JSON.stringify(error instanceof Refusal ? { code: error.code, message: error.message } : { code: 'internal', message: String(error) }));
}
