import { connectorFor } from '#app/app.ts';
import type { Actor } from '#app/actor.ts';
import { currentPolicies } from '#app/ask-policy.ts';
import { applyConfiguration, planConfiguration, type ConfigurationPlan } from '#app/configuration/apply-configuration.ts';
import { revokeEverything } from '#app/revoke-everything.ts';
import { setCredential } from '#app/set-credential.ts';
import { simulatePolicy } from '#app/simulate-policy.ts';
import { openTarget } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import { Refusal } from '#domain/refusal.ts';
import type { HandlersFor, ServerDeps } from '../deps.ts';
import { listTargets } from '../present/list-targets.ts';
import { wireVerdict } from '../present/present-request.ts';
import { namedPageOf, viewing } from '../viewing.ts';
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
    targets: ({ actor, query }) => viewing(app, actor, (directory) => listTargets(app, directory, actor, namedPageOf(query))),
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
      return { findings: (await policyTools.lint(sources, body.files ?? null, app)).map((finding) => ({ ...finding })) };
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
