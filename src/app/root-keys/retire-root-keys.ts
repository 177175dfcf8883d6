import { rootKeyRetired } from '#domain/events/root-key-events.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { RootKeyKeeper } from '../ports/root-keys.ts';
import { HOLDER_GONE_MS } from './hold-root-keys.ts';

export interface Retired {
  /** Known no more: nothing can be sealed under them. */
  readonly retired: readonly string[];
  /** Whose files were deleted; null where keys are given by hand, and are to be taken out by hand. */
  readonly deleted: readonly string[] | null;
}

/**
 * Lets go of every root key but the one in force. First the store forgets them, which it does only while nothing is
 * under them; then their files go. A run that was cut short in between is finished by the next.
 * @throws Refusal `conflict` while something is sealed under one, or a server still seals under one
 */
export async function retireRootKeys({ store }: Pick<App, 'store'>, keys: RootKeyKeeper): Promise<Retired> {
  const { old, inForce } = await store.transaction(async (tx) => {
    await tx.rootKeys.lockHolders();
    const known = await tx.rootKeys.known();
    const newest = known.at(-1);
    const before = known.slice(0, -1);
    const under = (await tx.rootKeys.counts()).filter((each) => before.includes(each.under));
    if (under.length > 0) {
      const what = under.map(({ kind, count }) => `${count} of the kind "${kind}"`).join(', ');
      throw new Refusal('conflict', `not everything is under the newest root key: ${what}`, { hint: 'brevet root-key rotate finishes it.' });
    }
    const late = (await tx.rootKeys.holders(HOLDER_GONE_MS)).filter((holder) => before.includes(holder.sealsUnder));
    if (late.length > 0) throw new Refusal('conflict', `a server on ${late[0]?.host} still seals under an old root key`, { hint: 'Try again in a few seconds.' });
    for (const id of before) {
      await tx.rootKeys.forget(id);
      await tx.log(rootKeyRetired(id));
    }
    return { old: before, inForce: newest };
  });
  // With those that a run before had the store forget. A newer key may be one that a rotation has just made.
  const older = inForce === undefined ? [] : keys.ids.slice(keys.ids.indexOf(inForce) + 1);
  return { retired: old, deleted: keys.ids.includes(inForce ?? '') ? await keys.remove(older) : [] };
}
