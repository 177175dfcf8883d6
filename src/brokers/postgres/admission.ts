/** How many connections may be under way before they have proved who they are, and what bounds them then. */
export interface AdmissionLimits {
  readonly perAddress: number;
  readonly total: number;
  /** Sessions at once, in this process. */
  readonly sessions: number;
  /** Connections that ask to wait for an approval, at once, in this process. How many one principal has is the gate's to bound. */
  readonly waits: number;
}

export const ADMISSION: AdmissionLimits = { perAddress: 64, total: 1024, sessions: 10_000, waits: 256 };

/**
 * Counts connections that are not signed in yet, so that one address that opens many and says nothing can't keep
 * others out. The surplus is closed without a word.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #byAddress = new Map<string, number>();
  #total = 0;
  #waits = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#total;
  }

  /** Lets a connection in and answers how to count it out again (any number of times), or `null`. */
  enter(address: string, sessions: number): (() => void) | null {
    const here = this.#byAddress.get(address) ?? 0;
    if (here >= this.#limits.perAddress || this.#total >= this.#limits.total || sessions >= this.#limits.sessions) return null;
    this.#byAddress.set(address, here + 1);
    this.#total += 1;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#total -= 1;
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    };
  }

  /** Lets a connection wait for an approval and answers how to count it out, once; or `null`. */
  wait(): (() => void) | null {
    if (this.#waits >= this.#limits.waits) return null;
    this.#waits += 1;
    return () => void (this.#waits -= 1);
  }
}
