import type { Notification, Pool, PoolClient } from 'pg';
import type { Journal, Monotonic } from '#app/ports/runtime.ts';
import type { Topic } from '#app/ports/store.ts';

const TOPICS: readonly Topic[] = ['work', 'log', 'sessions', 'requests'];
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** A connection whose other end vanished without a word is found out by asking it something. */
const HEARTBEAT_MS = 15_000;

export interface Listener extends AsyncDisposable {
  on(topic: Topic, callback: (payload: string) => void): () => void;
  /** Wakes the listeners of this process only. */
  nudge(topic: Topic): void;
}

/**
 * One connection of the pool, held from the first listener on, that listens to the channels `brevet_<topic>`. When it
 * breaks it is made again, and then every listener is called once with '', since what came in between is lost.
 */
export function listener({ pool, journal, monotonic }: { pool: Pool; journal: Journal; monotonic: Monotonic }): Listener {
  const callbacks = new Map<Topic, Set<(payload: string) => void>>(TOPICS.map((topic) => [topic, new Set()]));
  const stop = new AbortController();
  let running: Promise<void> | null = null;

  const call = (topic: Topic, payload: string) => {
    for (const callback of callbacks.get(topic) ?? []) {
      try {
        callback(payload);
      } catch (error) {
        journal.error('a listener failed', { topic, error: String(error) });
      }
    }
  };

  const run = async () => {
    let pause = FIRST_PAUSE_MS;
    for (let again = false; !stop.signal.aborted; again = true) {
      try {
        await listenUntilBroken(pool, monotonic, stop.signal, call, () => {
          pause = FIRST_PAUSE_MS;
          if (again) for (const topic of TOPICS) call(topic, '');
        });
      } catch (error) {
        if (stop.signal.aborted) return;
        journal.warn('the store cannot be listened to; trying again', { error: String(error), pauseMs: pause });
        await monotonic.sleep(pause, stop.signal).catch(() => undefined);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  };

  return {
    on: (topic, callback) => {
      // The same function may listen twice: each call gets an identity of its own.
      const own = (payload: string) => callback(payload);
      callbacks.get(topic)?.add(own);
      running ??= run();
      return () => void callbacks.get(topic)?.delete(own);
    },
    nudge: (topic) => call(topic, ''),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

async function listenUntilBroken(
  pool: Pool, monotonic: Monotonic, stopped: AbortSignal, call: (topic: Topic, payload: string) => void, ready: () => void,
): Promise<void> {
  const client = await pool.connect();
  const broken = new AbortController();
  const onBroken = (error?: Error) => broken.abort(error ?? new Error('the connection ended'));
  const onNotification = ({ channel, payload }: Notification) => {
    const topic = TOPICS.find((each) => channel === `brevet_${each}`);
    if (topic) call(topic, payload ?? '');
  };
  client.on('error', onBroken).on('end', onBroken).on('notification', onNotification);
  try {
    await client.query(TOPICS.map((topic) => `listen brevet_${topic}`).join('; '));
    ready();
    await beat(client, monotonic, AbortSignal.any([stopped, broken.signal]));
    broken.signal.throwIfAborted();
  } finally {
    client.off('notification', onNotification);
    // It listens still, so it is not for the pool.
    client.release(true);
    client.off('error', onBroken).off('end', onBroken);
    client.on('error', () => undefined);
  }
}

async function beat(client: PoolClient, monotonic: Monotonic, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await monotonic.sleep(HEARTBEAT_MS, signal).catch(() => undefined);
    if (!signal.aborted) await client.query({ text: 'select 1', query_timeout: 5_000 } as { text: string });
  }
}
