import type { Entitlement } from '#domain/entitlement.ts';
import type { BrokerId, PrincipalId, SessionId, TargetId } from '#domain/id.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { isDisabled, knowPrincipal } from '../actor.ts';
import type { App } from '../app.ts';
import { currentPolicies, policyResource } from '../ask-policy.ts';
import type { SessionOrder } from '../ports/gate.ts';
import type { SessionStanding, Tx } from '../ports/store.ts';
import { connectQuestion, LEASE_MS } from './open-session.ts';

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
 * store does not know is cut. The leases are extended in a transaction of their own: whoever ends ten thousand sessions
 * must not wait until ten thousand are judged.
 */
export async function renewSessions(app: App, broker: BrokerId, ids: readonly SessionId[]): Promise<readonly SessionOrder[]> {
  const renewed = await app.store.transaction((tx) => tx.sessions.renew(broker, ids, LEASE_MS));
  const { orders, denied } = await app.store.transaction((tx) => judgeAll(app, tx, renewed));
  if (denied.length > 0) await app.store.transaction((tx) => tx.sessions.cut({ ids: denied }, 'policy_denied'));
  return ids.map((id) => orders.get(id) ?? cut(id, 'grant_ended'));
}

type Renewed = Awaited<ReturnType<Tx['sessions']['renew']>>;

/** Reads without locking, and what many sessions share only once: policies, identities, what is asked for. */
async function judgeAll(app: App, tx: Tx, renewed: Renewed): Promise<{ readonly orders: ReadonlyMap<SessionId, SessionOrder>; readonly denied: readonly SessionId[] }> {
  const standings = new Map((await tx.sessions.standing(renewed.map(({ session }) => session.id))).map((one) => [one.session, one]));
  const mayConnect = connectJudge(app, tx);
  const orders = new Map<SessionId, SessionOrder>();
  const denied: SessionId[] = [];
  for (const { session, grant } of renewed) {
    const standing = standings.get(session.id);
    if (!standing) continue;
    const order = orderFrom(standing, tx.now);
    const obstacle = order.order === 'cut' ? null : await mayConnect(session.principal, grant.entitlement, session.clientAddress);
    orders.set(session.id, obstacle === null ? order : cut(session.id, obstacle));
    if (obstacle === 'policy_denied') denied.push(session.id);
  }
  return { orders, denied };
}

/** Why somebody may not stay connected, or `null`. Each question is asked once, however many sessions raise it. */
function connectJudge(app: App, tx: Tx): (principal: PrincipalId, entitlement: Entitlement, address: string) => Promise<SessionEndReason | null> {
  const catalogue = { folders: once(() => tx.catalogue.folders()), target: once((id: TargetId) => tx.catalogue.target(id)) };
  const policies = once(() => currentPolicies(tx));
  const principal = once((id: PrincipalId) => knowPrincipal(tx, id));
  const resource = once((_: string, entitlement: Entitlement) => policyResource({ catalogue }, entitlement));
  const answer = once(async (_: string, id: PrincipalId, entitlement: Entitlement, address: string): Promise<SessionEndReason | null> => {
    const known = await principal(id);
    if (!known || isDisabled(known)) return 'identity_disabled';
    const asked = connectQuestion(known, await resource(revisionOf(entitlement), entitlement), address, tx.now);
    return app.policy.decide(await policies(), asked).allowed ? null : 'policy_denied';
  });
  return (id, entitlement, address) => answer(`${id} ${revisionOf(entitlement)} ${address}`, id, entitlement, address);
}

/** What stands in all snapshots of one revision is the same. */
const revisionOf = ({ id, revision }: Entitlement): string => `${id} ${revision}`;

/** Calls `read` once for each first argument, and answers the same from then on. */
function once<Args extends readonly [unknown?, ...unknown[]], T>(read: (...args: Args) => Promise<T>): (...args: Args) => Promise<T> {
  const known = new Map<unknown, Promise<T>>();
  return (...args) => {
    const answer = known.get(args[0]) ?? read(...args);
    known.set(args[0], answer);
    return answer;
  };
}

/** What a session's standing asks of its broker. */
export function orderFrom({ session, cutReason, grantState, deadline }: Omit<SessionStanding, 'ended'>, now: Date): SessionOrder {
  if (cutReason !== null) return cut(session, cutReason);
  if (grantState !== 'active' || deadline === null) return cut(session, 'grant_ended');
  if (deadline <= now) return cut(session, 'deadline');
  return { session, order: 'deadline', remainingMs: deadline.getTime() - now.getTime() };
}
