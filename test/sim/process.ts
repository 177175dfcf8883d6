import type { Monotonic } from '#app/ports/runtime.ts';
import type { Rng } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * A process with memory of its own: a server, a broker. When it dies nothing of it ever runs again, not even a `finally`;
 * while it is paused everything that reaches it waits. Its monotonic clock drifts.
 */
export class Process {
  readonly name: string;
  readonly rng: Rng;
  readonly monotonic: Monotonic;
  alive = true;
  pausedUntil = 0;
  /** Told right before and right after each of its effects on the world: a moment to die in. */
  effect: (when: 'before' | 'after') => void = () => undefined;
  readonly #scheduler: Scheduler;

  constructor(name: string, rng: Rng, scheduler: Scheduler, drift: number) {
    this.name = name;
    this.rng = rng;
    this.#scheduler = scheduler;
    const rate = 1 + drift;
    const offset = rng.between(0, 1e6);
    this.monotonic = {
      now: () => offset + this.#scheduler.now * rate,
      sleep: (ms, signal) => this.#sleep(ms / rate, signal),
    };
  }

  get paused(): boolean {
    return this.pausedUntil > this.#scheduler.now;
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        event.gone = true;
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const event = this.#scheduler.at(this.#scheduler.now + ms, 'timer', 'wakes', this, wake);
      signal?.addEventListener('abort', wake);
    });
  }

  /** A call that takes `ms`; `answer` runs in the end and may throw. Who dies meanwhile never hears of it. */
  call<T>(what: string, ms: number, answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.at(this.#scheduler.now + ms, 'step', what, this, () => {
        try {
          resolve(answer());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** As `call`, without an answer. */
  wait(what: string, ms: number): Promise<void> {
    return this.call(what, ms, () => undefined);
  }
}
