import { rootKeyBroughtIn, rootKeyRotated } from '#domain/events/root-key-events.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { KeyHolder, RootKeyKeeper, SealedValue } from '../ports/root-keys.ts';
import type { Monotonic } from '../ports/runtime.ts';
import { SealBroken } from '../ports/secrets.ts';
import { HOLDER_GONE_MS } from './hold-root-keys.ts';

/** Values for one transaction: a recording's chunk may have a megabyte. */
const BATCH = 20;
/** What servers seal in the last moment under the old key is found by another pass. */
const MOST_PASSES = 10;
const LOOK_MS = 500;
/** Longer than a killed server counts as running. */
const PATIENCE_MS = HOLDER_GONE_MS + 15_000;

export interface Rotating {
  readonly app: Pick<App, 'store' | 'secrets'>;
  readonly keys: RootKeyKeeper;
  readonly monotonic: Monotonic;
  /** Hears what is going on, a line each. */
  tell(line: string): void;
}

export interface Rotated {
  readonly key: string;
  /** Made by this run; false when a run before had made it and was cut short. */
  readonly made: boolean;
  readonly rewrapped: number;
  /** Values that do not open, by identity. The keys before must be kept as long as there is one. */
  readonly broken: readonly string[];
  /** Still under another key. */
  readonly left: number;
}

/**
 * Puts everything sealed under a new root key, while servers run:
 * 1. the key is made, and servers load it, sealing on under the one before;
 * 2. when all have it, it comes into force in one transaction, and servers seal under it;
 * 3. every value's data key is wrapped anew, in batches.
 * A run that was cut short is finished by the next, which makes no further key; several at once do no harm.
 * @throws Refusal `invalid_configuration`, `conflict` when a server does not load the key
 */
export async function rotateRootKey(rotating: Rotating): Promise<Rotated> {
  const { app, keys, tell } = rotating;
  const known = await app.store.transaction((tx) => tx.rootKeys.known());
  await keys.reload([]);
  const before = known.at(-1);
  if (before === undefined || !known.every((id) => keys.ids.includes(id))) {
    throw new Refusal('invalid_configuration', 'not every root key of this database is here', { hint: 'brevet root-key list tells which; put them back first.' });
  }
  const { key, made } = await keyToRotateTo(rotating, before);
  if (key !== before) await bringIn(rotating, before, key);
  keys.sealUnder(key);
  await untilAll(rotating, `to seal under ${key}`, (holder) => holder.sealsUnder === key);

  tell(`wrapping everything anew under ${key}`);
  const { rewrapped, broken } = await rewrapAll(rotating, key);
  const left = await app.store.transaction(async (tx) => {
    const under = (await tx.rootKeys.counts()).filter((each) => each.under !== key).reduce((sum, { count }) => sum + count, 0);
    if (under === 0 && (rewrapped > 0 || key !== before)) await tx.log(rootKeyRotated(key, rewrapped));
    return under;
  });
  return { key, made, rewrapped, broken, left };
}

/** A key that is newer than the one in force was left by a run that was cut short, or put there by hand. */
async function keyToRotateTo({ app, keys }: Rotating, inForce: string): Promise<{ key: string; made: boolean }> {
  const newer = keys.ids.slice(0, keys.ids.indexOf(inForce));
  if (newer[0] !== undefined) return { key: newer[0], made: false };
  const counts = await app.store.transaction((tx) => tx.rootKeys.counts());
  if (counts.some(({ under }) => under !== inForce)) return { key: inForce, made: false };
  const added = await keys.add();
  if (added !== null) return { key: added, made: true };
  throw new Refusal('invalid_configuration', 'the root key is given by BREVET_ROOT_KEY: a new one is made and handed out by hand', {
    hint: 'Make one: openssl rand -base64 32. Put it before the old one, parted by a space, into BREVET_ROOT_KEY of every server, restart each; then run brevet root-key rotate again with the same value.',
  });
}

async function bringIn(rotating: Rotating, before: string, key: string): Promise<void> {
  const { app, tell } = rotating;
  for (;;) {
    await untilAll(rotating, `to load ${key}`, (holder) => holder.keys.includes(key));
    const all = await app.store.transaction(async (tx) => {
      // A server that starts now waits, and then finds the new key in force.
      await tx.rootKeys.lockHolders();
      if (!(await tx.rootKeys.holders(HOLDER_GONE_MS)).every((holder) => holder.keys.includes(key))) return false;
      if ((await tx.rootKeys.known()).includes(key)) return true;
      await tx.rootKeys.bringIn(key);
      await tx.log(rootKeyBroughtIn(key, before));
      return true;
    });
    if (all) break;
  }
  tell(`${key} is in force`);
}

async function untilAll({ app, monotonic, tell }: Rotating, what: string, holds: (holder: KeyHolder) => boolean): Promise<void> {
  const end = monotonic.now() + PATIENCE_MS;
  for (let told = false; ; told = true) {
    const lacking = (await app.store.transaction((tx) => tx.rootKeys.holders(HOLDER_GONE_MS))).filter((holder) => !holds(holder));
    if (lacking.length === 0) return;
    if (monotonic.now() > end) {
      throw new Refusal('conflict', `${lacking.length} running servers do not come ${what}: on ${[...new Set(lacking.map(({ host }) => host))].join(', ')}`, {
        hint: 'Give them the new key as well (copy the key file into their data folder, mode 0600, of the same owner; or set BREVET_ROOT_KEY and restart), or stop them; then run brevet root-key rotate again. Nothing is lost.',
      });
    }
    if (!told) tell(`waiting for ${lacking.length} servers ${what}`);
    await monotonic.sleep(LOOK_MS);
  }
}

async function rewrapAll(rotating: Rotating, key: string): Promise<{ rewrapped: number; broken: readonly string[] }> {
  let rewrapped = 0;
  let broken: string[] = [];
  for (let pass = 1; pass <= MOST_PASSES; pass++) {
    broken = [];
    let found = 0;
    for (const kind of await rotating.app.store.transaction(async (tx) => tx.rootKeys.kinds)) {
      const done = await rewrapKind(rotating, kind, key);
      rewrapped += done.rewrapped;
      found += done.found;
      broken.push(...done.broken);
    }
    if (found === broken.length) break;
  }
  return { rewrapped, broken };
}

async function rewrapKind({ app, tell }: Rotating, kind: string, key: string): Promise<{ found: number; rewrapped: number; broken: readonly string[] }> {
  let [found, rewrapped] = [0, 0];
  const broken: string[] = [];
  for (let after: SealedValue['row'] | null = null; ; ) {
    const batch = await app.store.transaction(async (tx) => {
      const values = await tx.rootKeys.outdated(kind, key, after, BATCH);
      const done = { values, rewrapped: 0, broken: [] as string[] };
      for (const value of values) {
        const next = wrapAnew(app, value);
        if (next === null) done.broken.push(value.identity);
        else if (await tx.rootKeys.rewrap(value, next)) done.rewrapped += 1;
      }
      return done;
    });
    found += batch.values.length;
    rewrapped += batch.rewrapped;
    broken.push(...batch.broken);
    after = batch.values.at(-1)?.row ?? null;
    if (after === null) break;
  }
  if (rewrapped > 0) tell(`${rewrapped} of the kind "${kind}"`);
  return { found, rewrapped, broken };
}

function wrapAnew({ secrets }: Rotating['app'], { sealed, identity }: SealedValue): Uint8Array | null {
  try {
    return secrets.rewrap(sealed, identity);
  } catch (error) {
    if (error instanceof SealBroken) return null;
    throw error;
  }
}
