import type { Children } from '#app/ports/runtime.ts';
import { EXIT } from '#cli/exit-codes.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may arrive several times: from the terminal, and from npm, which hands it on. */
const SAME_MS = 300;

export interface Stopping {
  /** The first signal: stop, in order. */
  readonly asked: Promise<NodeJS.Signals>;
  readonly children: Children;
  /** Ends all children now, does what is left to do, and ends this process. */
  leave(lastly?: () => Promise<void>): Promise<never>;
}

/**
 * How a run is told to stop. The first signal asks; a second one insists, and then this process ends as soon as its
 * children have, without waiting for anything else: the database starts by recovering, and nothing confirmed is lost.
 */
export function stoppable(say: (text: string) => void): Stopping {
  const children: Children = new Set();
  const leave = async (lastly = async () => {}): Promise<never> => {
    await Promise.allSettled([...children].map((endAtOnce) => endAtOnce()));
    await lastly();
    process.exit(EXIT.interrupted);
  };
  const asked = new Promise<NodeJS.Signals>((resolve) => {
    let first: number | null = null;
    let insisted = false;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        const now = performance.now();
        first ??= now;
        resolve(signal);
        if (insisted || now - first < SAME_MS) return;
        insisted = true;
        say('stopping at once: sessions are cut off, the database recovers at the next start');
        void leave();
      });
    }
  });
  return { asked, children, leave };
}
