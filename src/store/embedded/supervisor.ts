/**
 * Keeps one postmaster running. There is one way to bring it up, at the first start and after every crash: look whether
 * one lives, else spawn it; connect; take the store's lock. The connection is then kept: it breaks when the server dies,
 * whether it is our child or one we took over.
 */
import { rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Children, Journal } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Binaries } from './binaries.ts';
import type { Credentials } from './cluster.ts';
import { ensureDatabase, optionsFor, takeLock, tryConnect } from './connect.ts';
import { failedStart, StillHeld } from './failures.ts';
import type { Place } from './place.ts';
import { clearStaleLock, endPostmaster, findPostmaster, spawnPostmaster, type Postmaster, type Settings } from './postmaster.ts';

const LOOK_MS = 20;
/** How long a living postmaster may stay silent (no socket, no answer) before it is ended and started anew. */
const SILENT_LOOKS = 500;
/** How often a start is tried while the remains of the last server let go of the folder. */
const HELD_TRIES = 100;
const HELD_PAUSE_MS = 100;
/** How long the lock of a Brevet that was just killed may take to fall free. */
const LOCK_TRIES = 30;
const LONGEST_BACKOFF_MS = 10_000;

export interface SupervisorOptions {
  readonly place: Place;
  readonly binaries: Binaries;
  readonly credentials: Credentials;
  readonly socketFolder: string;
  readonly settings: Settings;
  readonly journal: Journal;
  readonly onExit: (pid: number) => void;
  readonly children: Children;
}

interface Up {
  readonly postmaster: Postmaster;
  readonly client: Client;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #halt = new AbortController();
  readonly #hurry = new AbortController();
  #up: Up | null = null;
  /** Spawned or found, perhaps not answering yet: what `stop` must end. */
  #postmaster: Postmaster | null = null;
  /** The last one whose lock we held: another Brevet's is not ours to end. */
  #lockedPid = 0;
  #stopping: Promise<void> | null = null;
  #restarting: Promise<void> = Promise.resolve();
  #starting: Promise<void> = Promise.resolve();
  readonly #stopAtOnce = () => this.stopAtOnce();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get pid(): number {
    return this.#postmaster?.pid ?? 0;
  }

  get adopted(): boolean {
    return this.#postmaster?.adopted ?? false;
  }

  /** Of the running server: one that was taken over keeps the folder it was started with. */
  get socketFolder(): string {
    return this.#up?.postmaster.socketFolder ?? this.#options.socketFolder;
  }

  start(): Promise<void> {
    this.#options.children.add(this.#stopAtOnce);
    const started = this.#start();
    // `stop` waits for it: what is spawned meanwhile is ended as well.
    this.#starting = started.catch(() => undefined);
    return started;
  }

  async #start(): Promise<void> {
    try {
      this.#watch(await this.#bringUp());
    } catch (error) {
      // What we spawned must not outlive a start that failed, unless another Brevet has already taken it over.
      const taken = error instanceof Refusal && error.code === 'conflict';
      if (this.#postmaster?.adopted === false && !taken) {
        await endPostmaster(this.#postmaster, this.#hurry.signal);
        await rmdir(this.#options.socketFolder).catch(() => undefined);
      }
      this.#options.children.delete(this.#stopAtOnce);
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Immediate shutdown, also of a stop that is under way: the next start recovers. */
  stopAtOnce(): Promise<void> {
    this.#hurry.abort();
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#halt.abort();
    await Promise.all([this.#starting, this.#restarting]);
    const postmaster = this.#postmaster;
    // The lock is held to the end, so that nobody takes over a server that is shutting down.
    if (postmaster && (!postmaster.adopted || postmaster.pid === this.#lockedPid)) await endPostmaster(postmaster, this.#hurry.signal);
    await this.#up?.client.end().catch(() => undefined);
    await rmdir(this.#options.socketFolder).catch(() => undefined);
    this.#options.children.delete(this.#stopAtOnce);
  }

  #watch(up: Up): void {
    this.#up = up;
    up.client.once('end', () => {
      if (this.#stopping) return;
      this.#options.journal.warn('the embedded PostgreSQL was lost and is started again', { pid: up.postmaster.pid });
      this.#options.onExit(up.postmaster.pid);
      this.#restarting = this.#bringBack();
    });
  }

  /** Tries until it is back or nobody wants it any more. */
  async #bringBack(): Promise<void> {
    for (let pause = LOOK_MS; this.#stopping === null; pause = Math.min(pause * 2, LONGEST_BACKOFF_MS)) {
      try {
        const up = await this.#bringUp();
        this.#watch(up);
        this.#options.journal.info('the embedded PostgreSQL is back', { pid: up.postmaster.pid });
        return;
      } catch (error) {
        if (this.#stopping !== null) return;
        this.#options.journal.error('the embedded PostgreSQL could not be started again', { reason: (error as Error).message, nextTryMs: pause });
        await sleep(pause, undefined, { signal: this.#halt.signal }).catch(() => undefined);
      }
    }
  }

  async #bringUp(): Promise<Up> {
    for (let tries = 0; ; tries++) {
      if (this.#stopping !== null) throw new Refusal('unavailable', 'The embedded PostgreSQL is being stopped.');
      try {
        const postmaster = await this.#findOrSpawn(tries);
        this.#postmaster = postmaster;
        const up = await this.#connect(postmaster);
        if (up !== null) return up;
      } catch (error) {
        if (!(error instanceof StillHeld)) throw error;
        if (tries >= HELD_TRIES) throw new Refusal('unavailable', `The database's folder is still in use: ${error.message}`, { field: this.#options.place.cluster });
        await sleep(HELD_PAUSE_MS);
      }
    }
  }

  async #findOrSpawn(tries: number): Promise<Postmaster> {
    const { place, binaries, socketFolder, settings } = this.#options;
    const found = await findPostmaster(place);
    if (found !== null) return found;
    if (!(await clearStaleLock(place, socketFolder, tries))) throw new StillHeld('processes of the last server are still ending');
    return spawnPostmaster(place, binaries, socketFolder, settings);
  }

  /** Connects and takes the lock; null when this postmaster had to go and the search starts over. */
  async #connect(postmaster: Postmaster): Promise<Up | null> {
    const { place, credentials, binaries, journal } = this.#options;
    const options = optionsFor(postmaster.socketFolder, this.#options.place.port, 'postgres', credentials);
    for (let silent = 0; ; ) {
      if (this.#stopping !== null) throw new Refusal('unavailable', 'The embedded PostgreSQL is being stopped.');
      const attempt = await tryConnect({ ...options, database: 'postgres' });
      if (attempt.outcome === 'connected') {
        await this.#lock(attempt.client);
        this.#lockedPid = postmaster.pid;
        if (attempt.version.startsWith(binaries.version)) {
          await ensureDatabase(attempt.client, credentials, place.folder);
          attempt.socket.unref();
          return { postmaster, client: attempt.client };
        }
        journal.info('the server that was left running is of another version and is replaced', { running: attempt.version, ours: binaries.version });
        await endPostmaster(postmaster);
        await attempt.client.end().catch(() => undefined);
        return null;
      }
      if (attempt.outcome === 'rejected') {
        throw new Refusal('invalid_configuration', `The database does not accept the password in ${place.credentials}.`, { field: place.credentials, hint: 'Restore the file from the backup of the data folder.' });
      }
      if (!(await postmaster.alive())) {
        if (postmaster.adopted) return null;
        throw failedStart(await postmaster.output(), place.folder);
      }
      // A recovery may take its time; silence is only borne for a while, and each look at a frozen server takes seconds.
      if (attempt.outcome === 'silent') silent += /timeout/.test(attempt.error.message) ? 250 : 1;
      if (silent >= SILENT_LOOKS) {
        journal.warn('a PostgreSQL server does not answer and is ended', { pid: postmaster.pid, reason: attempt.error.message });
        await endPostmaster(postmaster);
        return null;
      }
      await sleep(LOOK_MS);
    }
  }

  async #lock(client: Client): Promise<void> {
    for (let tries = 1; ; tries++) {
      const holder = await takeLock(client);
      if (holder === null) return;
      if (tries >= LOCK_TRIES) {
        await client.end().catch(() => undefined);
        throw new Refusal('conflict', `The data folder ${this.#options.place.folder} is in use by another Brevet (${holder}).`, {
          field: this.#options.place.folder, hint: 'Stop the other one, give this one a data folder of its own, or let both use one server by DATABASE_URL.',
        });
      }
      await sleep(LOOK_MS * 2);
    }
  }
}
