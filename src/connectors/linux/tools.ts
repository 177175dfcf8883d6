import type { Timeouts } from './connect.ts';

/** What the composition root hands in. */
export interface Tools {
  /** Which Brevet this is: stands in the mark of everything that it makes. */
  readonly installation: string;
  readonly random: (bytes: number) => Uint8Array;
  readonly now: () => Date;
  readonly timeouts: Timeouts;
}
