import { finishGrant } from '#app/finish-grant.ts';
import { issueCertificate } from '#app/issue-certificate.ts';
import { issueConnectionToken } from '#app/issue-connection-token.ts';
import { untilSettled } from '#app/request-changes.ts';
import { revokeGrant } from '#app/revoke-grant.ts';
import { submitExtension } from '#app/submit-extension.ts';
import { concerning, seeGrant, seeRequest } from '#app/visibility.ts';
import type { Answer, Query } from '#contract/routes.ts';
import { isId, type GrantId } from '#domain/id.ts';
import type { GrantState } from '#domain/lifecycle.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Actor } from '#app/actor.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import type { Directory } from '../present/directory.ts';
import { connectInfo, presentGrant } from '../present/present-grant.ts';
import { presentRequest } from '../present/present-request.ts';
import { nextOf, pageOf, viewing } from '../viewing.ts';

type Names = 'grants' | 'grant' | 'extendGrant' | 'finishGrant' | 'revokeGrant' | 'connectionToken' | 'issueCertificate' | 'authority';

/** What a caller who waits on a grant waits out. */
const ON_ITS_WAY: readonly (GrantState | undefined)[] = ['scheduled', 'activating', 'revoking'];

export function holdingHandlers(deps: ServerDeps): HandlersFor<Names> {
  const { app, authority, identity, wording } = deps;
  const show = (actor: Actor, id: GrantId) =>
    viewing(app, actor, async (directory) => presentGrant(directory, deps.broker(), await seeGrant(directory.tx, directory.viewer, id)));
  return {
    grants: ({ actor, query }) => viewing(app, actor, (directory) => list(deps, directory, query)),
    async grant({ actor, params, query, signal }) {
      const id = params.id as GrantId;
      if (query.waitSeconds > 0) {
        // Whoever may not know of it is told so at once.
        const { request } = await viewing(app, actor, ({ tx, viewer }) => seeGrant(tx, viewer, id));
        await untilSettled(app, request, query.waitSeconds, signal, async () => !ON_ITS_WAY.includes((await app.store.transaction((tx) => tx.grants.byId(id)))?.state));
      }
      return await show(actor, id);
    },
    async extendGrant({ actor, params, body }) {
      const sent = await submitExtension(app, actor, params.id as GrantId, { duration: body.duration, reason: body.reason, ticket: body.ticket ?? null });
      return await viewing(app, actor, async (directory) => presentRequest(directory, wording, await seeRequest(directory.tx, directory.viewer, sent.id)));
    },
    async finishGrant({ actor, params }) {
      await finishGrant(app, actor, params.id as GrantId);
      return await show(actor, params.id as GrantId);
    },
    async revokeGrant({ actor, params, body }) {
      await revokeGrant(app, actor, params.id as GrantId, body.reason);
      return await show(actor, params.id as GrantId);
    },
    async connectionToken({ actor, params }) {
      const id = params.id as GrantId;
      const { handle, secret, expiresAt } = await issueConnectionToken(app, identity, actor, id);
      const connect = await viewing(app, actor, async (directory) => connectInfo(directory, deps.broker(), await seeGrant(directory.tx, directory.viewer, id)));
      if (!connect) throw new Refusal('unavailable', 'no broker is running here');
      return { user: `${connect.user}/${handle}`, password: secret, expiresAt: expiresAt.toISOString(), authority: authority.certificate, connect };
    },
    async issueCertificate({ actor, body }) {
      if (body.grant !== undefined && !isId('grant', body.grant)) throw new Refusal('invalid_input', 'that is not the id of a grant', { field: '/grant' });
      const issued = await issueCertificate(app, authority, actor, body.publicKey, body.grant ?? null);
      return { certificate: issued.certificate, authority: authority.certificate, notAfter: issued.notAfter.toISOString(), principal: actor.id };
    },
    authority: async () => ({ certificate: authority.certificate }),
  };
}

/** A page of grants as this viewer may list them: their own, those they reviewed, or, for administrators, all. */
async function list(deps: ServerDeps, directory: Directory, query: Query<'grants'>): Promise<Answer<'grants'>> {
  const { tx, viewer } = directory;
  if (query.view === 'all' && !viewer.principal.administrator) throw new Refusal('forbidden', 'only administrators see all grants');
  const person = query.person === undefined ? null : await tx.principals.byName(query.person);
  const target = query.target === undefined ? null : await tx.catalogue.targetByName(query.target);
  if ((query.person !== undefined && !person) || (query.target !== undefined && !target)) return { items: [], next: null };
  const rows = await tx.grants.list(
    {
      ...(person ? { principal: person.id } : {}),
      ...(query.view === 'mine' ? { concerning: await concerning(tx, viewer) } : {}),
      // What reviewers may take away: that has an end of its own.
      ...(query.view === 'reviewed' ? { reviewedBy: viewer.memberships.map((one) => one.group), live: true } : {}),
      ...(target ? { target: target.id } : {}),
      ...(query.live === 'true' ? { live: true } : {}),
      ...(query.overdue === 'true' ? { overdue: true } : {}),
    },
    pageOf(query),
  );
  return { items: await Promise.all(rows.map((grant) => presentGrant(directory, deps.broker(), grant))), next: nextOf(rows, query.limit) };
}
