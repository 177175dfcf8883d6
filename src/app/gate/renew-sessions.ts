import type { BrokerId, SessionId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { isDisabled, knowPrincipal } from '../actor.ts';
import type { App } from '../app.ts';
import type { SessionOrder } from '../ports/gate.ts';
import type { SessionStanding, Tx } from '../ports/store.ts';
import { demandConnect, LEASE_MS } from './open-session.ts';

/** What a client reads when its session is ended, by reason. */
export const END_MESSAGES: Readonly<Record<SessionEndReason, string>> = {
  client_closed: 'the client closed the connection',
  target_closed: 'the target closed the connection',
  deadline: 'the granted time is over',
  grant_ended: 'the access was taken back',
  ended_by_admin: 'an administrator ended this session',
  identity_disabled: 'this identity was disabled',
  policy_denied: 'policy does not permit this session any more',
  recorder_failed: 'the session could not be recorded',
  control_plane_lost: 'Brevet could not be reached',
  broker_lost: 'the broker was lost',
  failed_to_start: 'the session did not start',
};

const cut = (session: SessionId, reason: SessionEndReason): SessionOrder => ({ session, order: 'cut', reason, message: END_MESSAGES[reason] });

/**
 * Renews a broker's leases, and asks everything again for each session: the grant, the identity, policy. A session the
 * store does not know is cut.
 */
export function renewSessions(app: App, broker: BrokerId, ids: readonly SessionId[]): Promise<readonly SessionOrder[]> {
  return app.store.transaction(async (tx) => {
    const orders = new Map<SessionId, SessionOrder>();
    for (const { session, grant } of await tx.sessions.renew(broker, ids, LEASE_MS)) {
      orders.set(session.id, await judge(app, tx, session, grant));
    }
    return ids.map((id) => orders.get(id) ?? cut(id, 'grant_ended'));
  });
}

type Renewed = Awaited<ReturnType<Tx['sessions']['renew']>>[number];

async function judge(app: App, tx: Tx, session: Renewed['session'], grant: Renewed['grant']): Promise<SessionOrder> {
  const order = orderFrom({ session: session.id, cutReason: session.cutReason, grantState: grant.state, deadline: grant.deadline }, tx.now);
  if (order.order === 'cut') return order;
  const known = await knowPrincipal(tx, session.principal);
  if (!known || isDisabled(known)) return cut(session.id, 'identity_disabled');
  try {
    await demandConnect(app, tx, known, grant, session.clientAddress);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'policy_denied') throw error;
    await tx.sessions.cut({ id: session.id }, 'policy_denied');
    return cut(session.id, 'policy_denied');
  }
  return order;
}

/** What a session's standing asks of its broker. */
export function orderFrom({ session, cutReason, grantState, deadline }: Omit<SessionStanding, 'ended'>, now: Date): SessionOrder {
  if (cutReason !== null) return cut(session, cutReason);
  if (grantState !== 'active' || deadline === null) return cut(session, 'grant_ended');
  if (deadline <= now) return cut(session, 'deadline');
  return { session, order: 'deadline', remainingMs: deadline.getTime() - now.getTime() };
}
