import { databaseError } from './database-error.ts';

/** Whoever may hold locks: a transaction. */
export interface Holder {
  /** What it waits for, if it does. */
  waitsFor: string | null;
  /** The names that it holds. */
  readonly held: Set<string>;
}

interface Waiter {
  readonly holder: Holder;
  readonly go: () => void;
  readonly fail: (error: Error) => void;
}

/** Exclusive locks by name, first come first served; who would close a ring of waiting is refused, as by PostgreSQL. */
export class Locks {
  readonly #held = new Map<string, Holder>();
  readonly #waiting = new Map<string, Waiter[]>();

  tryLock(name: string, holder: Holder): boolean {
    const other = this.#held.get(name);
    if (other !== undefined) return other === holder;
    this.#give(name, holder);
    return true;
  }

  /** @throws a deadlock (SQLSTATE 40P01) */
  async lock(name: string, holder: Holder): Promise<void> {
    if (this.tryLock(name, holder)) return;
    for (let at = this.#held.get(name); at?.waitsFor != null; at = this.#held.get(at.waitsFor)) {
      if (this.#held.get(at.waitsFor) === holder) throw databaseError('40P01', null, 'deadlock detected');
    }
    holder.waitsFor = name;
    try {
      await new Promise<void>((go, fail) => {
        const queue = this.#waiting.get(name) ?? [];
        queue.push({ holder, go, fail });
        this.#waiting.set(name, queue);
      });
    } finally {
      holder.waitsFor = null;
    }
  }

  #give(name: string, holder: Holder): void {
    this.#held.set(name, holder);
    holder.held.add(name);
  }

  /** Everything that it holds goes to those who wait. */
  release(holder: Holder): void {
    const names = [...holder.held];
    holder.held.clear();
    for (const name of names) {
      const queue = this.#waiting.get(name);
      const next = queue?.shift();
      if (queue?.length === 0) this.#waiting.delete(name);
      if (next === undefined) {
        this.#held.delete(name);
        continue;
      }
      this.#give(name, next.holder);
      next.holder.waitsFor = null;
      next.go();
    }
  }

  /** Its connection broke: it waits no more. */
  giveUp(holder: Holder, error: Error): void {
    const name = holder.waitsFor;
    if (name === null) return;
    const queue = this.#waiting.get(name) ?? [];
    const mine = queue.find((waiter) => waiter.holder === holder);
    this.#waiting.set(name, queue.filter((waiter) => waiter !== mine));
    holder.waitsFor = null;
    mine?.fail(error);
  }
}
