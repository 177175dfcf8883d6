import { disablePrincipal, enablePrincipal } from '#app/disable-principal.ts';
import { revokeEverything, type Taken } from '#app/revoke-everything.ts';
import { createPrincipal } from '#app/signin/create-principal.ts';
import { enrolWorkloadKey, signInByLink, signInByPassword, type Enrolled } from '#app/signin/enrol-key.ts';
import { erasePrincipal } from '#app/signin/erase-principal.ts';
import { issueLink } from '#app/signin/issue-link.ts';
import { setPassword } from '#app/signin/set-password.ts';
import { revokeKey } from '#app/signin/revoke-key.ts';
import type { Answer } from '#contract/routes.ts';
import type { KeyId, PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Actor } from '#app/actor.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { Directory, iso, refOf } from '../present/directory.ts';
import { namedPageOf, nextName, viewing } from '../viewing.ts';

type Names =
  | 'signInByLink' | 'signInByPassword' | 'me' | 'setPassword' | 'keys' | 'revokeKey' | 'principals' | 'createPrincipal' | 'disablePrincipal'
  | 'enablePrincipal' | 'issueLink' | 'enrolWorkloadKey' | 'erasePrincipal' | 'revokeOfPerson';

export function identityHandlers(deps: ServerDeps): HandlersFor<Names> {
  const { app, identity } = deps;
  const idOf = (actor: Actor, name: string) => viewing(app, actor, (directory) => idIn(directory, name));
  const show = (actor: Actor, name: string) => viewing(app, actor, async (directory) => presentPrincipal(directory, await idIn(directory, name)));
  return {
    signInByLink: async ({ body }) => signedIn(await signInByLink(app, identity, body)),
    signInByPassword: async ({ body }) => {
      // E08: guesses are counted by the name they are made on, wherever they come from.
      if (!deps.rateLimit.allow(`password ${body.name}`, 'password')) throw new Refusal('rate_limited', 'too many attempts on this name', { hint: 'Wait a few minutes, or use a sign-in link.' });
      return signedIn(await signInByPassword(app, identity, body.name, body.password, body));
    },
    me: ({ actor }) => viewing(app, actor, (directory) => presentMe(directory, actor)),
    async setPassword({ actor, body }) {
      await setPassword(app, identity, actor, body.password);
      return {};
    },
    keys: ({ actor }) =>
      viewing(app, actor, async ({ tx }) => ({
        items: (await tx.credentials.keysOf(actor.id)).map((key) => ({
          id: key.id,
          label: key.label,
          createdAt: key.createdAt.toISOString(),
          signedInAt: key.signedInAt.toISOString(),
          signInMethod: key.signInMethod,
          lastUsedAt: iso(key.lastUsedAt),
          revokedAt: iso(key.revokedAt),
          current: key.id === actor.authentication.by,
        })),
      })),
    async revokeKey({ actor, params }) {
      await revokeKey(app, actor, params.id as KeyId);
      return {};
    },
    principals: ({ actor, query }) =>
      viewing(app, actor, async (directory) => {
        const rows = await directory.tx.principals.page(namedPageOf(query));
        return { items: await Promise.all(rows.map((one) => presentPrincipal(directory, one.id))), next: nextName(rows, query.limit) };
      }),
    async createPrincipal({ actor, body }) {
      await createPrincipal(app, actor, { ...body, owner: body.owner ?? null });
      return await show(actor, body.name);
    },
    disablePrincipal: async ({ actor, params }) => wireTaken(await disablePrincipal(app, actor, await idOf(actor, params.name))),
    async enablePrincipal({ actor, params }) {
      await enablePrincipal(app, actor, await idOf(actor, params.name));
      return await show(actor, params.name);
    },
    async issueLink({ actor, params }) {
      const { secret, expiresAt } = await issueLink(app, identity, actor, params.name);
      return { link: `${deps.addresses[0] ?? ''}/sign-in#${secret}`, expiresAt: expiresAt.toISOString() };
    },
    enrolWorkloadKey: async ({ actor, params, body }) => signedIn(await enrolWorkloadKey(app, identity, actor, params.name, body)),
    async erasePrincipal({ actor, params }) {
      await erasePrincipal(app, actor, params.name);
      return {};
    },
    revokeOfPerson: async ({ actor, params, body }) => wireTaken(await revokeEverything(app, actor, { principal: await idOf(actor, params.name) }, body.reason)),
  };
}

export function wireTaken({ grants, requests, sessions }: Taken): Answer<'revokeOfPerson'> {
  return { grants: [...grants], requests: [...requests], sessions };
}

function signedIn({ key, principal: { id, kind, name, displayName } }: Enrolled) {
  return { key, principal: { id, kind, name, displayName } };
}

async function idIn({ tx }: Directory, name: string): Promise<PrincipalId> {
  const principal = await tx.principals.byName(name);
  if (!principal) throw new Refusal('not_found', `there is nobody called "${name}"`);
  return principal.id;
}

async function presentMe(directory: Directory, actor: Actor): Promise<Answer<'me'>> {
  const { viewer } = directory;
  return {
    ...refOf(viewer),
    administrator: viewer.principal.administrator,
    groups: viewer.memberships.map((membership) => membership.groupName),
    owner: viewer.principal.owner === null ? null : await directory.principal(viewer.principal.owner),
    key: actor.authentication.by.startsWith('key_') ? (actor.authentication.by as KeyId) : null,
    authentication: { method: actor.authentication.method, at: actor.authentication.at.toISOString() },
  };
}

async function presentPrincipal(directory: Directory, id: PrincipalId): Promise<Answer<'createPrincipal'>> {
  const known = await directory.known(id);
  if (!known) throw new Refusal('not_found', 'there is no such identity');
  return {
    ...refOf(known),
    administrator: known.principal.administrator,
    owner: known.principal.owner === null ? null : await directory.principal(known.principal.owner),
    disabledAt: iso(known.principal.disabledAt),
    groups: known.memberships.map((membership) => membership.groupName),
  };
}
