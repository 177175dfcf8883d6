import { endSession, endSessions } from '#app/gate/end-session.ts';
import { actorContext, policyPrincipal, type Actor } from '#app/actor.ts';
import { currentPolicies, demand, policyResource } from '#app/ask-policy.ts';
import { maySee } from '#app/visibility.ts';
import type { SessionId } from '#domain/id.ts';
import { recordingViewed } from '#domain/events/administration-events.ts';
import { Refusal } from '#domain/refusal.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { readRecordingPage } from '../present/read-recording.ts';
import { presentSession } from '../present/present-session.ts';
import { nextOf, pageOf, viewing } from '../viewing.ts';

export function sessionHandlers(deps: ServerDeps): HandlersFor<'sessions' | 'endSession' | 'endSessions' | 'recording'> {
  const { app } = deps;
  return {
    sessions: ({ actor, query }) =>
      viewing(app, actor, async (directory) => {
        const { tx, viewer } = directory;
        if (query.view === 'all' && !viewer.principal.administrator) throw new Refusal('forbidden', 'only administrators see all sessions');
        const rows = await tx.sessions.list(
          {
            ...(query.view === 'mine' ? { principal: actor.id } : {}),
            ...(query.live === 'true' ? { live: true } : {}),
            ...(query.grant === undefined ? {} : { grant: query.grant as `grt_${string}` }),
          },
          pageOf(query),
        );
        return { items: await Promise.all(rows.map((session) => presentSession(directory, session))), next: nextOf(rows, query.limit) };
      }),
    async endSession({ actor, params }) {
      const id = params.id as SessionId;
      await endSession(app, actor, id);
      return await viewing(app, actor, async (directory) => {
        const session = await directory.tx.sessions.byId(id);
        if (!session) throw new Refusal('not_found', 'there is no such session');
        return presentSession(directory, session);
      });
    },
    async endSessions({ actor, body }) {
      const of = await viewing(app, actor, async ({ tx }) => {
        const person = body.person === undefined ? null : await tx.principals.byName(body.person);
        const target = body.target === undefined ? null : await tx.catalogue.targetByName(body.target);
        if ((body.person !== undefined && !person) || (body.target !== undefined && !target)) throw new Refusal('not_found', 'there is nobody and nothing of that name');
        if (!person && !target) throw new Refusal('invalid_input', 'name a person or a target');
        return { ...(person ? { principal: person.id } : {}), ...(target ? { target: target.id } : {}) };
      });
      return { sessions: await endSessions(app, actor, of) };
    },
    async recording({ actor, params, query }) {
      const id = params.id as SessionId;
      await mayReplay(deps, actor, id);
      return { session: id, ...(await readRecordingPage(app, deps.readRecording(), id, query.cursor ?? null)) };
    },
  };
}

/** Whoever sees the grant and may `replay` by policy reads what was done; that they did stands in the log, with each page. */
async function mayReplay({ app }: ServerDeps, actor: Actor, id: SessionId): Promise<void> {
  await viewing(app, actor, async ({ tx, viewer }) => {
    const session = await tx.sessions.byId(id);
    const grant = session && (await tx.grants.byId(session.grant));
    if (!session || !grant || !(await maySee(tx, viewer, grant))) throw new Refusal('not_found', 'there is no such session');
    if (session.principal !== actor.id) {
      demand(app, await currentPolicies(tx), {
        action: 'replay',
        principal: policyPrincipal(viewer),
        resource: await policyResource(tx, grant.entitlement),
        context: actorContext(actor, tx.now),
      });
    }
    await tx.log(recordingViewed(id, actor.id));
  });
}
