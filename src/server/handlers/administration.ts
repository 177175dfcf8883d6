import { connectorFor, type App } from '#app/app.ts';
import { judgeRequest } from '#app/judge-request.ts';
import type { Actor } from '#app/actor.ts';
import { currentPolicies } from '#app/ask-policy.ts';
import { applyConfiguration, planConfiguration, type ConfigurationPlan } from '#app/configuration/apply-configuration.ts';
import { revokeEverything } from '#app/revoke-everything.ts';
import { setCredential } from '#app/set-credential.ts';
import { simulatePolicy } from '#app/simulate-policy.ts';
import { openTarget } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Target } from '#domain/entitlement.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { Directory, entitlementRef, iso } from '../present/directory.ts';
import { wireVerdict } from '../present/present-request.ts';
import { viewing } from '../viewing.ts';
import { wireTaken } from './identity.ts';

type Names =
  | 'targets' | 'setCredential' | 'standingPrivileges' | 'revokeOnTarget' | 'planConfiguration' | 'applyConfiguration' | 'policies' | 'lintPolicies'
  | 'testPolicies' | 'simulatePolicies' | 'doctor';

export function administrationHandlers(deps: ServerDeps): HandlersFor<Names> {
  const { app, policyTools } = deps;
  const targetOf = (actor: Actor, name: string) =>
    viewing(app, actor, async ({ tx }) => {
      const target = await tx.catalogue.targetByName(name);
      if (!target) throw new Refusal('not_found', `there is no target "${name}"`);
      return target;
    });
  const published = (actor: Actor) => viewing(app, actor, ({ tx }) => currentPolicies(tx));
  return {
    targets: ({ actor }) =>
      viewing(app, actor, async (directory) => {
        const { tx, viewer } = directory;
        const all = await tx.catalogue.targets();
        const mine = viewer.principal.administrator ? all : await requestableOf(app, directory, actor, all.filter((one) => one.retiredAt === null));
        return { items: await Promise.all(mine.map((one) => presentTarget(directory, one))) };
      }),
    async setCredential({ actor, params, body }) {
      const target = await targetOf(actor, params.name);
      await setCredential(app, actor, target.id, body.account ?? null, body.credential);
      return {};
    },
    async standingPrivileges({ actor, params }) {
      const target = await targetOf(actor, params.name);
      const { access } = await app.store.transaction((tx) => openTarget(app, tx, target.id));
      return { items: (await connectorFor(app, target.type).listStanding(access)).map(({ account, privilege, on }) => ({ account, privilege, on })) };
    },
    async revokeOnTarget({ actor, params, body }) {
      const target = await targetOf(actor, params.name);
      return wireTaken(await revokeEverything(app, actor, { target: target.id }, body.reason));
    },
    planConfiguration: async ({ actor, body }) => wirePlan(await planConfiguration(app, actor, body.files)),
    applyConfiguration: async ({ actor, body }) => wirePlan(await applyConfiguration(app, actor, body.files, body.base ?? null)),
    async policies({ actor }) {
      const { version, sources } = await published(actor);
      return { version, sources: sources.map(({ file, text }) => ({ file, text })) };
    },
    async lintPolicies({ actor, body }) {
      const sources = body.sources ?? (await published(actor)).sources;
      return { findings: (await policyTools.lint(sources, app)).map((finding) => ({ ...finding })) };
    },
    async testPolicies({ actor, body }) {
      return policyTools.test(body.sources ?? (await published(actor)).sources, body.tests);
    },
    async simulatePolicies({ actor, body: { action, principal, entitlement, context, sources } }) {
      const verdict = await simulatePolicy(app, actor, { action, principal, entitlement: entitlement ?? null, facts: context ?? {}, sources: sources ?? null });
      return { verdict: wireVerdict(verdict), explanation: [...deps.wording.explain(verdict)] };
    },
    doctor: ({ actor }) => deps.diagnose(actor),
  };
}

function wirePlan({ changes, findings, base }: ConfigurationPlan): Answer<'planConfiguration'> {
  return { changes: changes.map((change) => ({ ...change, lines: [...change.lines] })), findings: findings.map((finding) => ({ ...finding })), base };
}

/** The targets on which policy lets this caller ask for something. */
async function requestableOf(app: App, { tx }: Directory, actor: Actor, targets: readonly Target[]): Promise<readonly Target[]> {
  const reachable = new Set<string>();
  for (const one of await tx.catalogue.entitlements()) {
    if (one.retiredAt !== null) continue;
    const { outcome } = await judgeRequest(app, tx, actor, { entitlement: one.name, reason: 'preview', ticket: null, duration: null, startAt: null, onBehalfOf: null, extends: null });
    if (outcome !== 'refused') for (const part of one.parts) reachable.add(part.target);
  }
  return targets.filter((target) => reachable.has(target.id));
}

async function presentTarget(directory: Directory, target: Target): Promise<Answer<'targets'>['items'][number]> {
  const { tx, viewer } = directory;
  const administrator = viewer.principal.administrator;
  const health = await tx.catalogue.health(target.id);
  const folder = target.folder === null ? null : ((await tx.catalogue.folders()).find((one) => one.id === target.folder)?.name ?? null);
  const entitlements = (await tx.catalogue.entitlements()).filter((one) => one.retiredAt === null && one.parts.some((part) => part.target === target.id));
  return {
    id: target.id,
    name: target.name,
    type: target.type,
    folder,
    // Where a target is, and how Brevet signs in, is for administrators.
    config: (administrator ? target.config : {}) as Answer<'targets'>['items'][number]['config'],
    hasCredential: (await tx.catalogue.credential(target.id)) !== null,
    retiredAt: iso(target.retiredAt),
    health: {
      state: health?.checkedAt ? (health.unreachableSince ? 'unreachable' : 'reachable') : 'unknown',
      checkedAt: iso(health?.checkedAt ?? null),
      unreachableSince: iso(health?.unreachableSince ?? null),
      problem: administrator ? (health?.problem ?? null) : null,
      skewMs: health?.skewMs ?? null,
      version: administrator ? (health?.version ?? null) : null,
    },
    entitlements: entitlements.map(entitlementRef),
  };
}
