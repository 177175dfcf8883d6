import type { App } from '../app.ts';
import type { KeyHolder, RootKeys } from '../ports/root-keys.ts';
import { HOLDER_GONE_MS } from './hold-root-keys.ts';

export interface ListedKey {
  readonly id: string;
  /** `in_force`: seals; `old`: still opens what is under it; `new`: made, and not in force yet; `retired`: nothing knows it any more. */
  readonly state: 'in_force' | 'old' | 'new' | 'retired';
  /** Whether it is at hand here. */
  readonly here: boolean;
  readonly sealed: Readonly<Record<string, number>>;
}

export interface KeyList {
  readonly keys: readonly ListedKey[];
  /** Every kind of sealed value there is. */
  readonly kinds: readonly string[];
  readonly servers: readonly KeyHolder[];
}

/** Which root keys there are, by id, and what stands under each. */
export async function listRootKeys({ store }: Pick<App, 'store'>, keys: RootKeys): Promise<KeyList> {
  return await store.transaction(async (tx) => {
    const known = await tx.rootKeys.known();
    const counts = await tx.rootKeys.counts();
    const newest = known.at(-1) ?? keys.ids[0];
    const others = keys.ids.filter((id) => !known.includes(id));
    const inForceAt = keys.ids.indexOf(newest ?? '');
    const state = (id: string): ListedKey['state'] => (id === newest ? 'in_force' : known.includes(id) ? 'old' : keys.ids.indexOf(id) < inForceAt ? 'new' : 'retired');
    const all = [...others.filter((id) => state(id) === 'new'), ...known.toReversed(), ...others.filter((id) => state(id) !== 'new')];
    return {
      kinds: tx.rootKeys.kinds,
      servers: await tx.rootKeys.holders(HOLDER_GONE_MS),
      keys: [...new Set(all)].map((id) => ({
        id,
        state: state(id),
        here: keys.ids.includes(id),
        sealed: Object.fromEntries(counts.filter(({ under }) => under === id).map(({ kind, count }) => [kind, count])),
      })),
    };
  });
}
