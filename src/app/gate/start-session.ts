import { sessionActive } from '#domain/events/session-events.ts';
import type { SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { SessionOrder } from '../ports/gate.ts';
import { orderFrom } from './renew-sessions.ts';

/**
 * The broker stands connected: the session is active. Answers how long it may last: the ticket told it as well, but may have
 * been long on its way. @throws Refusal `wrong_state` when it was ended meanwhile
 */
export async function startSession(app: App, id: SessionId, facts: JsonObject): Promise<SessionOrder> {
  return await app.store.transaction(async (tx) => {
    const session = await tx.sessions.lock(id);
    if (!session || session.state !== 'pending' || session.cutReason !== null || !(await tx.sessions.activate(id, facts))) {
      throw new Refusal('wrong_state', 'the session was ended before it began');
    }
    await tx.log(sessionActive({ ...session, state: 'active' }));
    const [standing] = await tx.sessions.standing([id]);
    if (!standing) throw new Refusal('internal', `session ${id} has no grant`);
    return orderFrom(standing, tx.now);
  });
}
