import { Heap } from './heap.ts';
import type { Process } from './process.ts';

/**
 * What comes next in the world:
 * - `step`: a call of a port that is under way;
 * - `timer`: a process sleeps, as all its loops do; through stretches in which nothing can happen it may sleep longer;
 * - `fixed`: what the script says, and the ends of faults.
 */
export type EventKind = 'step' | 'timer' | 'fixed';

export interface SimEvent {
  at: number;
  readonly order: number;
  readonly kind: EventKind;
  readonly what: string;
  /** Whose memory it runs in; `null` for the world itself. */
  readonly process: Process | null;
  readonly run: () => void;
  gone: boolean;
}

/** Where true time begins. */
export const START = Date.UTC(2026, 2, 1);

/** Node runs the next tick when no microtask is left: then every promise has gone as far as it gets. */
function settled(events: number): Promise<void> {
  // Now and then a turn of the event loop, without which nothing that is only weakly held is ever freed.
  return new Promise((resolve) => (events % 1024 === 0 ? setImmediate(resolve) : process.nextTick(resolve)));
}

/** True time in milliseconds since 1970, and everything that is to happen. One event after the other; the seed says when each comes. */
export class Scheduler {
  now = START;
  events = 0;
  /** Milliseconds that were leapt over. */
  leapt = 0;
  readonly #heap = new Heap<SimEvent>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  readonly #trace: ((line: string) => void) | null;
  #order = 0;
  #steps = 0;
  #stopped = false;

  constructor(trace: ((line: string) => void) | null) {
    this.#trace = trace;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  at(at: number, kind: EventKind, what: string, process: Process | null, run: () => void): SimEvent {
    const event = { at: Math.max(at, this.now), order: ++this.#order, kind, what, process, run, gone: false };
    this.#heap.push(event);
    if (kind === 'step') this.#steps += 1;
    return event;
  }

  tell(line: string): void {
    this.#trace?.(`${((this.now - START) / 1000).toFixed(6)} ${line}`);
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs until `until` or until somebody stops it. After each event every promise that it resolved has run as far as it
   * gets, and `after` looks at the world. `leapTo` tells when something can happen next, while nothing is under way.
   */
  async run(until: number, after: () => void, leapTo: () => number): Promise<void> {
    while (!this.#stopped) {
      if (this.#steps === 0 && this.#heap.first?.kind === 'timer') this.#leap(Math.min(leapTo(), until));
      const event = this.#heap.first;
      if (event === undefined || event.at > until) break;
      this.#heap.pop();
      if (event.kind === 'step') this.#steps -= 1;
      if (event.gone || event.process?.alive === false) continue;
      if (event.process !== null && event.process.pausedUntil > event.at) {
        event.at = event.process.pausedUntil;
        if (event.kind === 'step') this.#steps += 1;
        this.#heap.push(event);
        continue;
      }
      this.now = event.at;
      this.events += 1;
      if (this.#trace) this.tell(`${event.process?.name ?? 'world'}: ${event.what}`);
      event.run();
      await settled(this.events);
      after();
    }
    if (!this.#stopped) this.now = Math.max(this.now, until);
  }

  /** Sleepers sleep on until shortly after `to`: in between each look of theirs would have found what the last one found. */
  #leap(to: number): void {
    if (to - this.now < 2_000) return;
    this.leapt += to - this.now;
    this.tell(`leap to ${((to - START) / 1000).toFixed(6)}`);
    let turn = 0;
    this.#heap.rebuild((event) => {
      if (event.gone || event.process?.alive === false) return false;
      if (event.kind === 'timer' && event.at < to) event.at = to + (turn = (turn + 0.618) % 1) * 900;
      return true;
    });
    this.now = to;
  }

  /** When the script or a fault's end comes next. */
  nextFixed(): number {
    let next = Infinity;
    for (const event of this.#heap.items) if (event.kind === 'fixed' && !event.gone && event.at < next) next = event.at;
    return next;
  }
}
