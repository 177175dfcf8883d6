import type { RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { OpenSession, SessionTicket } from '../ports/gate.ts';
import { submitRequest } from '../submit-request.ts';
import { openSession } from './open-session.ts';

/** How often to look when no wake-up comes. */
const LOOK_EVERY_MS = 1000;

/**
 * A refused connection that asked to wait: sends the request that it named, waits for the decision in place, and goes
 * through. Whoever waits with nothing pending and nothing asked is refused at once.
 * @throws Refusal what `openSession` last said, or why the request was refused
 */
export async function waitForGrant(app: App, ask: OpenSession, signal: AbortSignal): Promise<SessionTicket> {
  if (ask.request !== null) await requestOnTheSpot(app, ask, ask.request);
  let looks = 0;
  for (;;) {
    const woken = nextWake(app, signal);
    // Asked before the door is tried: what is coming now may have come, and stand open, by the time it is tried.
    const waiting = await somethingIsComing(app, ask);
    try {
      return await openSession(app, ask);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'no_active_grant') throw error;
      if (signal.aborted || looks >= Math.max(ask.waitSeconds, ask.request === null ? 0 : 10)) throw error;
      if (!waiting) throw error;
    }
    looks += await woken;
  }
}

async function requestOnTheSpot(app: App, ask: OpenSession, request: NonNullable<OpenSession['request']>): Promise<RequestId> {
  if (ask.proof.by !== 'certificate') throw new Refusal('forbidden', 'only a certificate can ask on the spot');
  const { fingerprint, subject } = ask.proof;
  const actor = await app.store.transaction(async (tx): Promise<Actor> => {
    const certificate = await tx.credentials.certificate(fingerprint, tx.now);
    // A certificate that is bound to one grant asks for nothing else.
    if (!certificate || certificate.principal !== subject || certificate.grant !== null) {
      throw new Refusal('unauthenticated', 'this certificate cannot ask for access');
    }
    return {
      id: certificate.principal,
      authentication: { method: 'certificate', at: tx.now, phishingResistant: false, by: fingerprint },
      clientAddress: ask.client.address,
    };
  });
  const sent = await submitRequest(app, actor, {
    entitlement: request.entitlement, reason: request.reason, ticket: null, duration: request.duration, startAt: null, onBehalfOf: null, extends: null,
  });
  return sent.id;
}

/** Whether a request of theirs is pending, or a grant is on its way. */
function somethingIsComing(app: App, ask: OpenSession): Promise<boolean> {
  return app.store.transaction(async (tx) => {
    if (ask.proof.by !== 'certificate') return false;
    const certificate = await tx.credentials.certificate(ask.proof.fingerprint, tx.now);
    if (!certificate) return false;
    const page = { before: null, limit: 1 };
    const pending = await tx.requests.list({ principal: certificate.principal, state: 'pending' }, page);
    const scheduled = await tx.grants.list({ principal: certificate.principal, state: 'scheduled' }, page);
    const activating = await tx.grants.list({ principal: certificate.principal, state: 'activating' }, page);
    return pending.length + scheduled.length + activating.length > 0;
  });
}

/** Resolves at the next change of a request or grant, or after a second, with the seconds that passed at most. */
async function nextWake(app: App, signal: AbortSignal): Promise<number> {
  const woken = new AbortController();
  const stop = app.store.listen('requests', () => woken.abort());
  await app.monotonic.sleep(LOOK_EVERY_MS, AbortSignal.any([signal, woken.signal]));
  stop();
  return woken.signal.aborted && !signal.aborted ? 0 : 1;
}
