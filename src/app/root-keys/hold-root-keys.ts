import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { RootKeys } from '../ports/root-keys.ts';
import type { Monotonic } from '../ports/runtime.ts';
import type { Tx } from '../ports/store.ts';

/** How often a server looks for new root keys and tells which it has. */
export const HOLD_EVERY_MS = 2000;
/** A server not heard of for this long is gone. One that only slept takes part again before it can seal: see `bringIn`. */
export const HOLDER_GONE_MS = 30_000;

export interface Holding {
  readonly keys: RootKeys;
  /** Names this process among all servers. */
  readonly server: string;
  readonly host: string;
}

type Parts = Pick<App, 'store' | 'journal'>;

/**
 * A server's first look: it tells what it has, then seals under the key in force. In this order, since whoever brings a
 * key in keeps tellers waiting: either this server was counted, or it finds the new key here.
 * @throws Refusal `invalid_configuration` when a key is missing that something is or may be sealed under
 */
export async function takeUpRootKeys({ store }: Parts, holding: Holding): Promise<void> {
  const { keys } = holding;
  await store.transaction(async (tx) => {
    await tell(tx, holding);
    // The first start of all: what was made on the empty store comes into force.
    if ((await tx.rootKeys.known()).length === 0) await tx.rootKeys.bringIn(keys.ids[0] as string);
    const known = await tx.rootKeys.known();
    const missing = known.filter((id) => !keys.ids.includes(id));
    if (missing.length > 0) {
      throw new Refusal('invalid_configuration', `the root key does not open what this database holds: ${missing.join(', ')} is not among those given (${keys.ids.join(', ')})`, {
        hint: 'Put back every root key that belongs to this database (root.key and, after rotations, root.key.2 ...; or BREVET_ROOT_KEY).',
      });
    }
    keys.sealUnder(known.at(-1) as string);
    await tell(tx, holding);
  });
}

/** Keeps a server's keys those that the host has, until `signal` aborts. Without the provider it goes on with what it has. */
export async function holdRootKeys(app: Parts, holding: Holding, monotonic: Monotonic, signal: AbortSignal): Promise<void> {
  let trouble = '';
  const say = (now: string) => {
    if (now !== '' && now !== trouble) app.journal.warn('root keys could not be looked at; those in memory stay in use', { message: now });
    trouble = now;
  };
  while (!signal.aborted) {
    await monotonic.sleep(HOLD_EVERY_MS, signal);
    if (signal.aborted) break;
    await lookAgain(app, holding).then(say, (error: unknown) => say(String(error).slice(0, 300)));
  }
  await app.store.transaction((tx) => tx.rootKeys.release(holding.server)).catch(() => undefined);
}

/** Answers what is wrong, if anything. */
async function lookAgain({ store }: Parts, holding: Holding): Promise<string> {
  const { keys } = holding;
  const known = await store.transaction((tx) => tx.rootKeys.known());
  // What something may be sealed under stays loaded, whatever happened to its file.
  const problem = await keys.reload(known).then(() => '', (error: unknown) => String(error).slice(0, 300));
  return await store.transaction(async (tx) => {
    await tell(tx, holding);
    const newest = (await tx.rootKeys.known()).at(-1);
    if (newest === undefined || newest === keys.sealsUnder) return problem;
    if (!keys.sealUnder(newest)) return `the root key in force, ${newest}, is not here: what was sealed under it does not open`;
    await tell(tx, holding);
    return problem;
  });
}

async function tell(tx: Tx, { keys, server, host }: Holding): Promise<void> {
  await tx.rootKeys.hold({ server, host, keys: keys.ids, sealsUnder: keys.sealsUnder });
}
