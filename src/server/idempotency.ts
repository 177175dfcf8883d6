import { createHash } from 'node:crypto';
import type { Actor } from '#app/actor.ts';
import type { App } from '#app/app.ts';
import { answerIdentity } from '#app/ports/sealed-identity.ts';
import { Refusal } from '#domain/refusal.ts';

export interface Answered {
  readonly status: number;
  readonly payload: string;
}

/**
 * Runs a changing call once for its `Idempotency-Key`: the same call again is answered as the first time. A call that
 * failed on our side is forgotten, so that trying again is worth something. `call` is its method and target: the same
 * key for another object is another call. An answer may hold a one-time secret, so it is kept sealed.
 * @throws Refusal `conflict` when the key was used for something else, or the first call still runs
 */
export async function once(app: App, actor: Actor, key: string, call: string, body: Uint8Array | null, run: () => Promise<Answered>): Promise<Answered> {
  if (!/^[\x21-\x7e]{8,200}$/.test(key)) throw new Refusal('invalid_input', 'an Idempotency-Key has 8 to 200 printable characters');
  const bodyHash = createHash('sha256').update(call).update('\0').update(body ?? '').digest('hex');
  const held = await app.store.transaction((tx) => tx.credentials.openIdempotency(actor.id, key, bodyHash, tx.now));
  if (held === null) throw new Refusal('conflict', 'this Idempotency-Key was used for something else, or its first call still runs');
  const identity = answerIdentity(actor.id, key);
  if (held !== 'new') return { status: held.status, payload: app.secrets.openText(held.response, identity) };
  try {
    const answered = await run();
    if (answered.status >= 500) await app.store.transaction((tx) => tx.credentials.forgetIdempotency(actor.id, key));
    else await app.store.transaction((tx) => tx.credentials.closeIdempotency(actor.id, key, answered.status, app.secrets.seal(answered.payload, identity)));
    return answered;
  } catch (error) {
    await app.store.transaction((tx) => tx.credentials.forgetIdempotency(actor.id, key)).catch(() => undefined);
    throw error;
  }
}
