import type { Monotonic } from '../ports/runtime.ts';
import { backoffMs } from './attempt.ts';

/** How often a row failed is remembered this long after its time aside. */
const FORGOTTEN_AFTER_MS = 300_000;

/** Rows that a step failed on: set aside, longer each time, so that one of them does not hold up the others. */
export class Aside {
  readonly #monotonic: Monotonic;
  readonly #rows = new Map<string, { readonly until: number; readonly times: number }>();

  constructor(monotonic: Monotonic) {
    this.#monotonic = monotonic;
  }

  /** `mostTimes` bounds how far the time aside grows, as `backoffMs` counts. */
  add(id: string, mostTimes = Infinity): void {
    const times = Math.min(this.#rows.get(id)?.times ?? 0, mostTimes);
    this.#rows.set(id, { until: this.#monotonic.now() + backoffMs(times), times: times + 1 });
  }

  ids<Id extends string>(): readonly Id[] {
    const now = this.#monotonic.now();
    for (const [id, { until }] of this.#rows) if (until + FORGOTTEN_AFTER_MS <= now) this.#rows.delete(id);
    return [...this.#rows].filter(([, { until }]) => until > now).map(([id]) => id as Id);
  }
}
