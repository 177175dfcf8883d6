import type { PolicyFinding, PolicySource } from '#app/ports/policy.ts';
import { CedarCrash, withCedar } from './cedar.ts';
import { finding, placeOf } from './findings.ts';
import { entityNames, quoted } from './policy-tree.ts';
import type { ReadPolicy } from './read-policies.ts';
import { cedarFinding, readPolicies } from './read-policies.ts';
import { SCHEMA } from './schema.ts';

/** Cedar's own words for a policy that no question can satisfy. */
const IMPOSSIBLE = /impossible|unable to find an applicable action/;

/**
 * Parses policies and checks them against the schema. Any finding of severity `error` makes the set unpublishable.
 * Findings come in the order of the files; `message` keeps Cedar's help ("did you mean ...").
 */
export function validatePolicies(sources: readonly PolicySource[]): readonly PolicyFinding[] {
  const { policies, findings } = readPolicies(sources);
  const found = [...findings, ...lookAlikes(policies), ...againstSchema(policies)];
  const order = new Map(sources.map(({ file }, index) => [file, index]));
  const rank = ({ file }: PolicyFinding) => order.get(file ?? '') ?? -1;
  return found
    .filter((one, at) => !isEcho(one, found.slice(0, at)))
    .sort((a, b) => rank(a) - rank(b) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** Whether Cedar warns of what the findings before say already: of the same thing again, or of a policy that has an error. */
function isEcho(one: PolicyFinding, before: readonly PolicyFinding[]): boolean {
  if (one.severity !== 'warning' || one.policy === null) return false;
  return before.some(({ policy, severity, code }) => policy === one.policy && (severity === 'error' || code === one.code));
}

function againstSchema(policies: readonly ReadPolicy[]): PolicyFinding[] {
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const staticPolicies = Object.fromEntries(policies.map(({ id, statement }) => [id, statement.text]));
  try {
    const answer = withCedar((cedar) => cedar.validate({ schema: SCHEMA, policies: { staticPolicies } }));
    if (answer.type === 'failure') {
      return answer.errors.map(({ message }) => finding('error', 'policy_schema', message.slice(0, 600), null));
    }
    const errors = answer.validationErrors.map((found) => ({ ...found, severity: 'error' as const }));
    const warnings = answer.validationWarnings.map((found) => ({ ...found, severity: 'warning' as const }));
    return [...errors, ...warnings].flatMap(({ policyId, error, severity }) => {
      const policy = byId.get(policyId);
      const code = severity === 'warning' && IMPOSSIBLE.test(error.message) ? 'policy_never_applies' : 'policy_schema';
      return policy ? [cedarFinding(policy.statement, error, severity, code, policyId)] : [];
    });
  } catch (error) {
    if (!(error instanceof CedarCrash)) throw error;
    return [finding('error', 'policy_too_complex', 'these policies are too complex for the policy engine', null)];
  }
}

/** Names in Brevet are ASCII: `Group::"d\u{435}vs"`, with a Cyrillic letter, names nothing and only looks as if it did. */
function lookAlikes(policies: readonly ReadPolicy[]): PolicyFinding[] {
  return policies.flatMap(({ id, statement, json }) => {
    const found = entityNames(json).find((entity) => /[^\x20-\x7e]/.test(entity.id));
    if (!found) return [];
    const message = `the name ${found.type}::${quoted(found.id)} is not plain ASCII: it names nothing, and may look like a name that does`;
    return [finding('error', 'name_not_ascii', message, placeOf(statement.place), id)];
  });
}
