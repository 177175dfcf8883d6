import type { RequestId } from '#domain/id.ts';
import type { App } from './app.ts';

/** A lost wake-up costs this much, no more. */
const POLL_MS = 1000;
/** Looks are at least this far apart: a burst of changes is looked at once more, not once for each. */
const APART_MS = 100;

/** For whoever waits in place: sleeps until a request that concerns them, or what became of it, may have changed. */
export class RequestChanges implements Disposable {
  readonly #app: Pick<App, 'monotonic'>;
  readonly #stop: () => void;
  #changed = false;
  #sleep = new AbortController();

  /** Hears from here on, so that nothing falls between a look and the wait after it. */
  constructor(app: Pick<App, 'store' | 'monotonic'>, concerns: (request: RequestId) => boolean) {
    this.#app = app;
    this.#stop = app.store.listen('requests', (payload) => {
      if (payload !== '' && !concerns(payload as RequestId)) return;
      this.#changed = true;
      this.#sleep.abort('woken');
    });
  }

  /** To be called after a look: resolves when it is time for another, after `mostMs` at the latest. */
  async next(mostMs: number, signal: AbortSignal): Promise<void> {
    const { monotonic } = this.#app;
    const since = monotonic.now();
    this.#sleep = new AbortController();
    if (!this.#changed) await monotonic.sleep(Math.min(mostMs, POLL_MS), AbortSignal.any([signal, this.#sleep.signal]));
    const left = Math.min(mostMs, APART_MS) - (monotonic.now() - since);
    if (left > 0 && !signal.aborted) await monotonic.sleep(left, signal);
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

/** Looks now and at each change of this request until it is settled, the time is over, or the caller has gone. */
export async function untilSettled(app: Pick<App, 'store' | 'monotonic'>, request: RequestId, waitSeconds: number, signal: AbortSignal, settled: () => Promise<boolean>): Promise<void> {
  const end = app.monotonic.now() + waitSeconds * 1000;
  using changes = new RequestChanges(app, (id) => id === request);
  while (!(await settled()) && !signal.aborted && app.monotonic.now() < end) await changes.next(end - app.monotonic.now(), signal);
}
