import type { SessionId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { Gate, GateRefusal, OpenSession, SessionOrder, SessionTicket } from '../ports/gate.ts';
import type { Identity } from '../ports/identity.ts';
import { noteEnds } from './note-ends.ts';
import { openSession } from './open-session.ts';
import { recordChunk } from './record-chunk.ts';
import { orderFrom, renewSessions } from './renew-sessions.ts';
import { startSession } from './start-session.ts';
import { waitForGrant } from './wait-for-grant.ts';

/**
 * The gate over this process's own store. One for each server; its brokers ask it, in this process or over a channel.
 * It remembers which sessions its brokers carry only to know whom to wake: the truth is in the store.
 */
export function localGate(app: App, identity: Identity): Gate & Disposable {
  const carried = new Set<SessionId>();
  const listeners = new Set<(order: SessionOrder) => void>();
  const waiting = new Map<string, number>();
  const noteEnd = noteEnds(app);

  /** Somebody ended something: asks anew for all sessions of our brokers, and passes on what can't wait. */
  let asking: Promise<void> | null = null;
  let askAgain = false;
  const wake = () => {
    askAgain = true;
    asking ??= (async () => {
      while (askAgain) {
        askAgain = false;
        await passOnOrders(app, carried, listeners).catch((error: unknown) => app.journal.warn('orders wait for the next renewal', { message: String(error).slice(0, 200) }));
      }
    })().finally(() => (asking = null));
  };
  const stopListening = app.store.listen('sessions', wake);

  return {
    async tokenVerifier(handle) {
      const token = await app.store.transaction((tx) => tx.credentials.token(handle, tx.now));
      return token?.verifier ?? identity.madeUpVerifier(handle);
    },
    async open(ask, signal) {
      const answer = await openOrRefuse(app, ask, signal, waiting);
      if ('session' in answer) carried.add(answer.session);
      return answer;
    },
    started: (session, facts) => startSession(app, session, facts),
    renew: (broker, sessions) => renewSessions(app, broker, sessions),
    record: (chunk) => recordChunk(app, chunk),
    async ended(end) {
      await noteEnd(end);
      carried.delete(end.session);
    },
    onOrder(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    [Symbol.dispose]: stopListening,
  };
}

async function openOrRefuse(app: App, ask: OpenSession, signal: AbortSignal, waiting: Map<string, number>): Promise<SessionTicket | GateRefusal> {
  try {
    return await openSession(app, ask);
  } catch (error) {
    // The certificate has been looked up by now: its subject is who it says.
    if (error instanceof Refusal && error.code === 'no_active_grant' && ask.proof.by === 'certificate' && (ask.waitSeconds > 0 || ask.request !== null)) {
      return await waitInPlace(app, ask, signal, { waiting, principal: ask.proof.subject }).catch(asRefusal);
    }
    return asRefusal(error);
  }
}

/** Lets only so many connections of one principal wait at once (H02). @throws Refusal `quota_exceeded`, and as `waitForGrant` */
async function waitInPlace(
  app: App, ask: OpenSession, signal: AbortSignal, { waiting, principal }: { readonly waiting: Map<string, number>; readonly principal: string },
): Promise<SessionTicket> {
  const before = waiting.get(principal) ?? 0;
  const most = app.limits.waitingConnectionsPerPrincipal;
  if (before >= most) {
    throw new Refusal('quota_exceeded', `${most} connections of yours wait for an approval already`, { hint: 'Close one of them, or connect when it is approved.' });
  }
  waiting.set(principal, before + 1);
  try {
    return await waitForGrant(app, ask, signal);
  } finally {
    const left = (waiting.get(principal) ?? 1) - 1;
    if (left === 0) waiting.delete(principal);
    else waiting.set(principal, left);
  }
}

function asRefusal(error: unknown): GateRefusal {
  if (!(error instanceof Refusal)) throw error;
  return { refused: error.code, message: error.message, hint: error.details.hint ?? null };
}

/** One look at all carried sessions: the reasons that others wrote, and deadlines that moved. */
async function passOnOrders(app: App, carried: Set<SessionId>, listeners: ReadonlySet<(order: SessionOrder) => void>): Promise<void> {
  if (carried.size === 0) return;
  const asked = [...carried];
  const { standings, now } = await app.store.transaction(async (tx) => ({ standings: await tx.sessions.standing(asked), now: tx.now }));
  for (const standing of standings) {
    for (const listener of listeners) listener(orderFrom(standing, now));
  }
  // A broker that died tells of no end: what the store counts as ended is not carried any more.
  const live = new Set(standings.filter((one) => !one.ended).map((one) => one.session));
  for (const session of asked) if (!live.has(session)) carried.delete(session);
}
