import assert from 'node:assert/strict';
import type { Store } from '#app/ports/store.ts';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** From here on personal parts can't be sealed. */
  keysDown(): void;
  /** Gives every waiting entry its number. */
  sequence(): Promise<void>;
}

export type OpenStore = () => Promise<StoreUnderTest>;

export function refused(code: RefusalCode) {
  return (error: unknown) => {
    assert.ok(error instanceof Refusal, `expected a refusal, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

export function same(actual: unknown, expected: unknown, message?: string): void {
  assert.deepEqual(actual, expected, message);
}

/** Lets a number of racers go on together. */
export class Barrier {
  readonly #needed: number;
  readonly #waiting: (() => void)[] = [];
  #done = false;
  constructor(needed: number) {
    this.#needed = needed;
  }
  arrive(): Promise<void> {
    if (this.#done) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length < this.#needed) return;
      this.#done = true;
      for (const go of this.#waiting) go();
    });
  }
}

export async function until(holds: () => Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await holds());) {
    assert.ok(performance.now() < end, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
