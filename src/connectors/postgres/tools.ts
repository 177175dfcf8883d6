import type { Timeouts } from './connect.ts';

/** What the composition root hands in. */
export interface Tools {
  readonly random: (bytes: number) => Uint8Array;
  readonly now: () => Date;
  readonly timeouts: Timeouts;
}
