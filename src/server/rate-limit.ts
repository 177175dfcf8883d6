import type { RateKind, RateLimit } from './deps.ts';

export interface Rate {
  /** Calls at once. */
  readonly burst: number;
  readonly perSecond: number;
}

const MOST_KEYS = 50_000;

/** Token buckets in memory, one for each caller: a bound for one process, not a promise over all of them (H01, H02). */
export function rateLimit(rates: Readonly<Record<RateKind, Rate>>, monotonicMs: () => number): RateLimit {
  const buckets = new Map<string, { left: number; at: number }>();
  return {
    allow(key, kind) {
      const { burst, perSecond } = rates[kind];
      const now = monotonicMs();
      const bucket = buckets.get(key) ?? { left: burst, at: now };
      bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
      bucket.at = now;
      if (bucket.left < 1) return false;
      bucket.left -= 1;
      // The oldest caller is forgotten, and begins anew with a full bucket: memory stays bounded.
      buckets.delete(key);
      buckets.set(key, bucket);
      if (buckets.size > MOST_KEYS) buckets.delete(buckets.keys().next().value as string);
      return true;
    },
    giveBack(key, kind) {
      const bucket = buckets.get(key);
      if (bucket) bucket.left = Math.min(rates[kind].burst, bucket.left + 1);
    },
  };
}
