import type { CancelKey } from './startup.ts';

/** Broker processes on one port: their number stands in the upper bits of the pid they hand out. */
export const MOST_SLOTS = 32;
const SLOT_SHIFT = 26;

/** Which broker process gave this key out. */
export function slotOf(key: CancelKey): number {
  return (key.pid >>> SLOT_SHIFT) & (MOST_SLOTS - 1);
}

/**
 * The keys with which clients cancel. They are Brevet's own: 26 random bits in the pid (beside 5 that tell the process;
 * a pid is never negative) and 32 in the secret. The target's key never leaves the broker.
 */
export class CancelKeys {
  readonly #slot: number;
  readonly #random: (size: number) => Uint8Array;
  readonly #byPid = new Map<number, { secret: number; cancel: () => Promise<void> }>();

  constructor(slot: number, random: (size: number) => Uint8Array) {
    if (!Number.isInteger(slot) || slot < 0 || slot >= MOST_SLOTS) throw new RangeError(`a slot is from 0 to ${MOST_SLOTS - 1}`);
    this.#slot = slot;
    this.#random = random;
  }

  issue(cancel: () => Promise<void>): CancelKey {
    for (;;) {
      const bytes = Buffer.from(this.#random(8));
      const pid = (this.#slot << SLOT_SHIFT) | (bytes.readUInt32BE(0) & ((1 << SLOT_SHIFT) - 1));
      if (pid === 0 || this.#byPid.has(pid)) continue;
      const secret = bytes.readInt32BE(4);
      this.#byPid.set(pid, { secret, cancel });
      return { pid, secret };
    }
  }

  revoke(key: CancelKey): void {
    this.#byPid.delete(key.pid);
  }

  /** Cancels what the key's session runs. A wrong key does nothing, as on PostgreSQL. Never throws. */
  async cancel(key: CancelKey): Promise<void> {
    const entry = this.#byPid.get(key.pid);
    if (entry && entry.secret === key.secret) await entry.cancel();
  }
}
