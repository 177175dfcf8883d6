/**
 * The embedded store: a real PostgreSQL server that lives beside Brevet, for those who bring none. It is a child in a
 * session of its own, speaks on a Unix socket only, never runs as root, comes back when it crashes, and is taken over by
 * the next Brevet when ours is killed. Nothing that was committed is lost by any kill.
 */
import type { Children, Journal, Random } from '#app/ports/runtime.ts';
import { chooseAccount } from './account.ts';
import { prepareBinaries } from './binaries.ts';
import { ensureCluster, sweepHalfMade } from './cluster.ts';
import { optionsFor, type ConnectionOptions } from './connect.ts';
import { choosePlace, SOCKET_PORT, socketFolder } from './place.ts';
import type { Settings } from './postmaster.ts';
import { Supervisor } from './supervisor.ts';

export type { ConnectionOptions } from './connect.ts';

export interface EmbeddedOptions {
  /** Everything lasting goes here; it is made when missing. May be long and deep. */
  readonly dataFolder: string;
  /** Candidates for the socket's folder, best first: `$XDG_RUNTIME_DIR`, the temporary folder. Short paths. */
  readonly runtimeFolders: readonly string[];
  readonly random: Random;
  readonly journal: Journal;
  /** Changes PostgreSQL's settings, as tests do with `fsync`. On the command line: never a secret. */
  readonly settings?: Settings;
  /** Also listens there, for clients with a password: how the demonstration runs its sample target. Never for the store. */
  readonly tcp?: { readonly address: string; readonly port: number };
  /** Where root keeps the store when the unprivileged account can't reach `dataFolder`. Default `/var/lib/brevet`. */
  readonly systemFolder?: string;
  /** Told each time the server is lost without `stop`; it is being started again already. */
  readonly onExit?: (pid: number) => void;
  /** Where the server is entered while it runs, to be ended at once when there is no time left. */
  readonly children?: Children;
}

export interface EmbeddedStore extends AsyncDisposable {
  /** As `brevet`, owner of the database `brevet`. Stays valid over restarts. */
  readonly connectionOptions: ConnectionOptions;
  /** As the superuser `postgres`, for backups and tests. */
  readonly adminOptions: ConnectionOptions;
  /** Of the postmaster; changes when it had to be started again. */
  readonly pid: number;
  /** Whether the server was running already, left by a Brevet that was killed. */
  readonly adopted: boolean;
  /** Where the store really is. */
  readonly folder: string;
  /** Fast shutdown; resolves when the server is gone. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts the server, or takes over the one that a killed Brevet left, and answers when it takes connections. The store
 * does not keep the process alive by itself.
 * @throws Refusal `unsupported` (no programs for this platform, data of another version), `conflict` (another Brevet
 * holds the folder), `invalid_configuration` (folder not writable or incomplete), `unavailable` (disk full, no start).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const { random, journal } = options;
  const place = await choosePlace(options.dataFolder, options.systemFolder ?? '/var/lib/brevet', options.tcp?.port ?? SOCKET_PORT);
  const binaries = await prepareBinaries(place.folder, place.account);
  const credentials = await ensureCluster(place, binaries, random);
  // initdb may have settled whose the cluster is: another start can have been faster, as another account.
  const settled = { ...place, account: await chooseAccount([place.cluster, place.folder]) };
  const sockets = await socketFolder(settled, options.runtimeFolders);
  const supervisor = new Supervisor({
    place: settled, binaries, credentials, socketFolder: sockets, settings: { ...(options.tcp ? { listen_addresses: options.tcp.address } : {}), ...options.settings }, journal, onExit: options.onExit ?? (() => undefined), children: options.children ?? new Set(),
  });
  await supervisor.start();
  await sweepHalfMade(settled);
  if (place.moved) journal.info('the database is kept elsewhere: PostgreSQL never runs as root, and others cannot enter the data folder', { asked: options.dataFolder, kept: place.folder });
  return {
    connectionOptions: optionsFor(supervisor.socketFolder, settled.port, 'brevet', credentials),
    adminOptions: optionsFor(supervisor.socketFolder, settled.port, 'postgres', credentials),
    get pid() {
      return supervisor.pid;
    },
    adopted: supervisor.adopted,
    folder: place.folder,
    stop: () => supervisor.stop(),
    [Symbol.asyncDispose]: () => supervisor.stop(),
  };
}
