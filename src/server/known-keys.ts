/** Which public keys have proved themselves here lately. No authority: whether a key counts is asked of the store, each time. */
export interface KnownKeys {
  /** The key of that id, as SPKI in PEM, with the store's time by now. `null` when it proved nothing here for a while. */
  of(keyId: string): { readonly publicKey: string; readonly now: Date } | null;
  /** @param now the store's time */
  remember(keyId: string, publicKey: string, now: Date): void;
}

/** Long enough for who works once a day: what is remembered opens nothing, so that nothing is lost by its age. */
const KEPT_MS = 36 * 3_600_000;
const MOST_KEYS = 10_000;

/** Keys in memory, those that called last: bounded, for one process. */
export function knownKeys(monotonicMs: () => number): KnownKeys {
  const keys = new Map<string, { readonly publicKey: string; readonly at: number }>();
  // The store's clock against ours, which never jumps.
  let storeAhead = 0;
  return {
    of(keyId) {
      const known = keys.get(keyId);
      const at = monotonicMs();
      if (!known || at - known.at > KEPT_MS) return null;
      return { publicKey: known.publicKey, now: new Date(storeAhead + at) };
    },
    remember(keyId, publicKey, now) {
      const at = monotonicMs();
      storeAhead = now.getTime() - at;
      keys.delete(keyId);
      keys.set(keyId, { publicKey, at });
      if (keys.size > MOST_KEYS) keys.delete(keys.keys().next().value as string);
    },
  };
}
