import { sessionsEndAsked } from '#domain/events/session-events.ts';
import type { SessionId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { knowActor, type Actor } from '../actor.ts';
import type { App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { mayEndSession } from '../visibility.ts';

/** Its holder, a reviewer of its grant, or an administrator asks for the end. @throws Refusal `not_found` */
export async function endSession(app: App, actor: Actor, id: SessionId): Promise<void> {
  await app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    const session = await tx.sessions.byId(id);
    const grant = session && (await tx.grants.byId(session.grant));
    if (!grant || !mayEndSession(known, session, grant)) throw new Refusal('not_found', 'there is no such session');
    if (session.state !== 'ended') {
      await tx.sessions.cut({ ids: [id] }, session.principal === actor.id ? 'client_closed' : 'ended_by_admin');
      await tx.log(sessionsEndAsked({ session: id, principal: session.principal }, 1, actor.id));
    }
    await tx.notify('sessions', id);
  });
}

/** Every live session of a principal or on a target. Answers how many. @throws Refusal `forbidden` */
export function endSessions(app: App, actor: Actor, of: Parameters<Tx['sessions']['cut']>[0]): Promise<number> {
  return app.store.transaction(async (tx) => {
    const known = await knowActor(tx, actor.id);
    if (!known.principal.administrator) throw new Refusal('forbidden', 'only administrators end sessions of others');
    const cut = await tx.sessions.cut(of, 'ended_by_admin');
    await tx.log(sessionsEndAsked({ ...(of.principal ? { principal: of.principal } : {}), ...(of.target ? { target: of.target } : {}) }, cut.length, actor.id));
    await tx.notify('sessions');
    return cut.length;
  });
}
