import type { App } from '../app.ts';

const PAUSE_AFTER_FAILURE_MS = 1000;

/** Runs `work` again and again; a failure (the store is down, say) is told and tried again a second later. */
export async function loop(app: App, name: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      app.journal.warn('the reconciler could not go on', { loop: name, message: String(error).slice(0, 300) });
      await app.monotonic.sleep(PAUSE_AFTER_FAILURE_MS, signal);
    }
  }
}
