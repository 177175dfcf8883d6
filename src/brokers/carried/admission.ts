import { originOf } from '#domain/origin-of.ts';

/** How many connections may be under way before they have proved who they are, and what bounds them then. */
export interface AdmissionLimits {
  /** Of one IPv4 address, or one IPv6 network of 64 bits. */
  readonly perAddress: number;
  readonly total: number;
  /** Sessions at once, in this process. */
  readonly sessions: number;
  /** Connections that ask to wait for an approval, at once, in this process. How many one principal has is the gate's to bound. */
  readonly waits: number;
}

export const ADMISSION: AdmissionLimits = { perAddress: 64, total: 1024, sessions: 10_000, waits: 256 };

/** The place of a connection that has not proved who it is. */
export interface Place {
  /** The client has said something that makes sense. */
  spoke(): void;
  /** Counts it out, any number of times. */
  leave(): void;
}

/** What came from one address: half-open connections, each with what drops it, the oldest first. */
class Origin {
  readonly silent = new Map<Place, () => void>();
  readonly spoken = new Map<Place, () => void>();

  get size(): number {
    return this.silent.size + this.spoken.size;
  }
}

/**
 * Counts connections that are not signed in yet, so that those who open many and say nothing can't keep others out. The
 * surplus of one address is closed without a word. When all places are taken, the newcomer gets one of the address that
 * holds most: whoever floods from many addresses drops their own connections, and one that holds a single place keeps it
 * as long as anybody holds two. When nobody does, the oldest goes.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #origins = new Map<string, Origin>();
  /** Origins by how many places they hold: nobody looks through all of them while a flood is on. */
  readonly #bySize: readonly Set<Origin>[];
  #total = 0;
  #waits = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#bySize = Array.from({ length: limits.perAddress + 1 }, () => new Set<Origin>());
  }

  get waiting(): number {
    return this.#total;
  }

  /** Lets a connection in, or answers `null`. `drop` closes it when another is to have its place. */
  enter(address: string, sessions: number, drop: () => void): Place | null {
    const name = originOf(address);
    if ((this.#origins.get(name)?.size ?? 0) >= this.#limits.perAddress || sessions >= this.#limits.sessions) return null;
    if (this.#total >= this.#limits.total) this.#makeRoom();
    const origin = this.#origins.get(name) ?? new Origin();
    this.#origins.set(name, origin);
    const place: Place = {
      spoke: () => {
        if (origin.silent.delete(place)) origin.spoken.set(place, drop);
      },
      leave: () => this.#resize(name, origin, () => origin.silent.delete(place) || origin.spoken.delete(place)),
    };
    this.#resize(name, origin, () => origin.silent.set(place, drop));
    return place;
  }

  /** Lets a connection wait for an approval and answers how to count it out, once; or `null`. */
  wait(): (() => void) | null {
    if (this.#waits >= this.#limits.waits) return null;
    this.#waits += 1;
    return () => void (this.#waits -= 1);
  }

  /** Drops one of those that hold most: of them the one that came to hold so many first, of its places the oldest silent one. */
  #makeRoom(): void {
    const [busiest] = this.#bySize.findLast((origins) => origins.size > 0) ?? [];
    if (!busiest) return;
    const [[place, drop] = []] = busiest.silent.size > 0 ? busiest.silent : busiest.spoken;
    place?.leave();
    drop?.();
  }

  #resize(name: string, origin: Origin, change: () => void): void {
    const before = origin.size;
    change();
    if (origin.size === before) return;
    this.#total += origin.size - before;
    this.#bySize[before]?.delete(origin);
    if (origin.size > 0) this.#bySize[origin.size]?.add(origin);
    else this.#origins.delete(name);
  }
}
