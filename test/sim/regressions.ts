import type { Script } from './script.ts';

/** What the simulator found in Brevet itself, as a short script that showed it; `bug` plants it again. */
export interface Regression {
  readonly bug: string;
  readonly seed: string;
  readonly script: Script;
}

const ASKS = { id: 1, at: 10_000, do: 'request', who: 'ann', entitlement: 'orders-read', startIn: null } as const;

export const REGRESSIONS: readonly Regression[] = [
  {
    // The clock goes back an hour between the plan and the activation: the grant ran for that hour as well.
    bug: 'longer-than-agreed',
    seed: '1',
    script: { nodes: 2, healAt: 60_000, steps: [{ ...ASKS, seconds: 20 }, { id: 2, at: 9_000, on: 'activating', delay: 50, fault: 'clockStep', ms: -3_600_000 }] },
  },
  {
    // A removal is put off for some seconds as the target refuses, and the clock goes back an hour: it waited for that hour as well.
    bug: 'clock-back-ignored',
    seed: '1',
    script: {
      nodes: 2, healAt: 200_000,
      steps: [
        { id: 2, at: 9_000, on: 'revoking', delay: 0, fault: 'targetRefuses', target: 0, ms: 20_000 },
        { id: 3, at: 9_000, on: 'revoking', delay: 21_000, fault: 'clockStep', ms: -3_600_000 },
        { ...ASKS, seconds: 20 },
      ],
    },
  },
  {
    // One of two servers loses its way to the target before the access falls due.
    bug: 'one-closes-for-all',
    seed: '20',
    script: { nodes: 2, healAt: 160_000, steps: [{ ...ASKS, seconds: 7 }, { id: 2, at: 10_000, on: 'active', delay: 4_000, fault: 'cut', node: 0, from: 'target', target: 0, ms: 120_000 }] },
  },
  {
    // The server sleeps with a session's ticket in its hand, and then the store is away: the broker counted from the ticket's arrival.
    bug: 'late-ticket',
    seed: '1',
    script: {
      nodes: 2, healAt: 60_000,
      steps: [
        { ...ASKS, seconds: 7 },
        { id: 2, at: 10_000, on: 'connecting', delay: 0, fault: 'pause', node: 0, broker: false, ms: 3_500, after: 0 },
        { id: 3, at: 10_000, on: 'connecting', delay: 3_900, fault: 'storeDown', ms: 12_000 },
        { id: 5, at: 10_000, on: 'active', delay: 0, do: 'connect', who: 'ann', holdMs: 30_000, by: 'certificate', waitSeconds: 0 },
      ],
    },
  },
];
