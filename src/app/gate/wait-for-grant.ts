import type { RequestId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { OpenSession, SessionTicket } from '../ports/gate.ts';
import { RequestChanges } from '../request-changes.ts';
import { submitRequest } from '../submit-request.ts';
import { openSession } from './open-session.ts';

/**
 * A refused connection that asked to wait: sends the request that it named, waits for the decision in place, and goes
 * through. Whoever waits with nothing pending and nothing asked is refused at once.
 * @throws Refusal what `openSession` last said, or why the request was refused
 */
export async function waitForGrant(app: App, ask: OpenSession, signal: AbortSignal): Promise<SessionTicket> {
  if (ask.request !== null) await requestOnTheSpot(app, ask, ask.request);
  const end = app.monotonic.now() + 1000 * Math.max(ask.waitSeconds, ask.request === null ? 0 : 10);
  let coming: ReadonlySet<RequestId> = new Set();
  using changes = new RequestChanges(app, (request) => coming.has(request));
  for (;;) {
    // Asked before the door is tried: what is coming now may have come, and stand open, by the time it is tried.
    coming = await whatIsComing(app, ask);
    try {
      return await openSession(app, ask);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'no_active_grant') throw error;
      if (signal.aborted || coming.size === 0 || app.monotonic.now() >= end) throw error;
    }
    await changes.next(end - app.monotonic.now(), signal);
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

/** Requests of theirs that are pending, or whose grant is on its way. */
function whatIsComing(app: App, ask: OpenSession): Promise<ReadonlySet<RequestId>> {
  return app.store.transaction(async (tx) => {
    const certificate = ask.proof.by === 'certificate' ? await tx.credentials.certificate(ask.proof.fingerprint, tx.now) : null;
    if (!certificate) return new Set();
    const { principal } = certificate;
    const page = { before: null, limit: 100 };
    const pending = await tx.requests.list({ principal, state: 'pending' }, page);
    const onTheirWay = [...(await tx.grants.list({ principal, state: 'scheduled' }, page)), ...(await tx.grants.list({ principal, state: 'activating' }, page))];
    return new Set([...pending.map(({ id }) => id), ...onTheirWay.map(({ request }) => request)]);
  });
}
