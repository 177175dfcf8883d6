/**
 * Reads many by one question: what is asked for before the event loop turns goes together, and each key is read once. Rows of
 * a list that are presented at the same time thereby cost what one of them does.
 */
export function together<K, V>(read: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>): (key: K) => Promise<V | null> {
  const known = new Map<K, Promise<V | null>>();
  let next: { readonly keys: K[]; readonly answer: Promise<ReadonlyMap<K, V>> } | null = null;
  const join = (key: K) => {
    if (next === null) {
      const keys: K[] = [];
      const turn = new Promise<void>((resolve) => setImmediate(resolve));
      next = { keys, answer: turn.then(() => ((next = null), read(keys))) };
    }
    next.keys.push(key);
    return next.answer;
  };
  return (key) => {
    const held = known.get(key);
    if (held !== undefined) return held;
    const made = join(key).then((all) => all.get(key) ?? null);
    known.set(key, made);
    return made;
  };
}

export const byId = <T extends { readonly id: string }>(rows: readonly T[]): ReadonlyMap<T['id'], T> => new Map(rows.map((row) => [row.id, row]));
