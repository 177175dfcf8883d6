import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import type { Actor } from '#app/actor.ts';
import { answerIdentity } from '#app/ports/sealed-identity.ts';
import type { Store } from '#app/ports/store.ts';
import { Refusal } from '#domain/refusal.ts';
import type { ServerDeps } from './deps.ts';
import { asProblem } from './send-problem.ts';

export interface Answered {
  readonly status: number;
  readonly payload: string;
}

/** What a call has done so far, known to the transactions that run inside it. */
const calls = new AsyncLocalStorage<{ tookEffect: boolean }>();

/**
 * The store, with an eye on what a call changes: every change has its entry in the log. The note is made before the
 * commit, since one whose answer was lost may have happened.
 */
export function noticingEffects(store: Store): Store {
  return {
    listen: (topic, listener) => store.listen(topic, listener),
    transaction: (work) => {
      const call = calls.getStore();
      if (!call) return store.transaction(work);
      return store.transaction(async (tx) => {
        let logged = false;
        const result = await work({ ...tx, log: (event) => ((logged = true), tx.log(event)) });
        call.tookEffect ||= logged;
        return result;
      });
    },
  };
}

/**
 * Runs a changing call once for its `Idempotency-Key`: the same call again is answered as the first time. A call that
 * failed on our side before it changed anything is forgotten, so that trying again is worth something; one that failed
 * after it is not done again, and says so. `call` is its method and target: the same key for another object is another
 * call. An answer may hold a one-time secret, so it is kept sealed.
 * @throws Refusal `conflict` when the key was used for something else, or the first call still runs or was never answered
 */
export async function once(deps: ServerDeps, actor: Actor, key: string, call: string, body: Uint8Array | null, run: () => Promise<Answered>): Promise<Answered> {
  if (!/^[\x21-\x7e]{8,200}$/.test(key)) throw new Refusal('invalid_input', 'an Idempotency-Key has 8 to 200 printable characters');
  const { app } = deps;
  const bodyHash = createHash('sha256').update(call).update('\0').update(body ?? '').digest('hex');
  const held = await app.store.transaction((tx) => tx.credentials.openIdempotency(actor.id, key, bodyHash, tx.now));
  if (held === null) {
    throw new Refusal('conflict', 'this Idempotency-Key was used for something else, or its first call still runs or was never answered', { hint: 'Look whether it took effect (brevet requests, brevet grants) before you ask anew.' });
  }
  const identity = answerIdentity(actor.id, key);
  if (held !== 'new') return { status: held.status, payload: app.secrets.openText(held.response, identity) };
  const done = { tookEffect: false };
  const answered = await calls.run(done, run);
  const told = answered.status >= 500 && done.tookEffect ? asProblem(deps, answerLost()) : answered;
  try {
    await app.store.transaction((tx) => told.status >= 500
      ? tx.credentials.forgetIdempotency(actor.id, key)
      : tx.credentials.closeIdempotency(actor.id, key, told.status, app.secrets.seal(told.payload, identity)));
  } catch (error) {
    // The key stays held, so the call is not done twice; whoever asks now has the answer all the same.
    app.journal.warn('the answer of a call could not be kept', { message: String(error).slice(0, 200) });
  }
  return told;
}

function answerLost(): Refusal {
  return new Refusal('conflict', 'the call may have taken effect, and then its answer failed on our side', { hint: 'Look before you ask anew: brevet requests, brevet grants.' });
}
