import type { PolicyAction, PolicyFinding, PolicySource } from '#app/ports/policy.ts';
import { POLICY_ACTIONS } from '#app/ports/policy.ts';
import type { Seconds } from '#domain/duration.ts';
import { SIGN_IN_METHODS } from '#domain/review.ts';
import type { Catalogue } from './catalogue.ts';
import { namesOf } from './catalogue.ts';
import type { FindingCode } from './findings.ts';
import { didYouMean } from '#domain/did-you-mean.ts';
import { finding, placeOf } from './findings.ts';
import { lintCatalogue } from './lint-catalogue.ts';
import { actionsOf, comparedWith, entityNames, factsRead, quoted } from './policy-tree.ts';
import type { ReadPolicy } from './read-policies.ts';
import { readPolicies } from './read-policies.ts';

export interface LintOptions {
  /** Longer maximum durations get a warning; 12 hours unless told. */
  readonly longest?: Seconds;
}

/**
 * Looks for policies that are valid and probably a mistake, and, given a catalogue, for names that do not exist and
 * entitlements that nobody could get or that anybody could keep too long. Validation (`validatePolicies`) comes before;
 * policies that can't be read are passed over here.
 */
export function lintPolicies(
  sources: readonly PolicySource[],
  catalogue: Catalogue | null = null,
  options: LintOptions = {},
): readonly PolicyFinding[] {
  const { policies } = readPolicies(sources);
  return [
    ...policies.flatMap(lintPolicy),
    ...policies.flatMap(unknownMethods),
    ...selfReview(policies),
    ...(catalogue ? policies.flatMap((policy) => unknownNames(policy, catalogue)) : []),
    ...(catalogue ? lintCatalogue(policies, catalogue, options.longest ?? 12 * 3600) : []),
  ];
}

/** Acts that give power over others' access: a permit for everybody is hardly ever meant. */
const POWERFUL: readonly PolicyAction[] = ['administer', 'breakGlass', 'replay'];

function lintPolicy(policy: ReadPolicy): PolicyFinding[] {
  const { json, reason } = policy;
  const found: PolicyFinding[] = [];
  const warn = (code: FindingCode, message: string) => found.push(at(policy, 'warning', code, message));
  if (reason === null) warn('reason_missing', 'this policy has no @reason("..."), which a person would read in a verdict');
  const unconditional = json.conditions.length === 0;
  const anyResource = json.resource.op === 'All' || json.resource.op === 'is';
  const named = actionsOf(json);
  if (json.effect === 'forbid') {
    const everything = unconditional && json.principal.op === 'All' && anyResource;
    if (everything) warn('forbid_everything', `this forbids ${named?.join(', ') ?? 'every action'} to everybody, on everything, always`);
    return found;
  }
  if (named === null) warn('action_unconstrained', 'this permits every action, administration and review included; name the actions');
  const actions = named ?? [...POLICY_ACTIONS];
  const reads = new Set(factsRead(json.conditions).map((path) => path.slice(0, 2).join('.')));
  const anyone = isAnyone(policy, reads);
  if (anyone && anyResource && unconditional && actions.includes('request')) {
    warn('resource_unconstrained', 'this lets everybody request everything, without any condition');
  }
  const powers = POWERFUL.filter((action) => actions.includes(action));
  if (anyone && powers.length > 0) warn('principal_unconstrained', `this gives ${powers.join(', ')} to everybody`);
  if (actions.includes('autoApprove')) found.push(...lintAutoApprove(policy, reads, anyone, anyResource));
  if (actions.includes('breakGlass') && !reads.has('context.authentication')) {
    warn('break_glass_weak', 'this breaks the glass without asking how the person signed in (context.authentication)');
  }
  return found;
}

/** A forbid that waits for a word which never comes forbids nothing. */
function unknownMethods(policy: ReadPolicy): PolicyFinding[] {
  const known: readonly string[] = SIGN_IN_METHODS;
  const strange = new Set(comparedWith(policy.json.conditions, 'context.authentication.method').filter((word) => !known.includes(word)));
  return [...strange].map((word) =>
    at(policy, 'warning', 'sign_in_method_unknown', `nobody signs in by ${quoted(word)}; a method is one of ${known.join(', ')}`));
}

/** Neither the scope nor a condition says who. */
function isAnyone({ json }: ReadPolicy, reads: ReadonlySet<string>): boolean {
  const open = json.principal.op === 'All' || (json.principal.op === 'is' && !('in' in json.principal));
  return open && ![...reads].some((path) => path === 'principal' || path.startsWith('principal.'));
}

function lintAutoApprove(policy: ReadPolicy, reads: ReadonlySet<string>, anyone: boolean, anyResource: boolean): PolicyFinding[] {
  const found: PolicyFinding[] = [];
  if (!reads.has('context.durationSeconds')) {
    found.push(at(policy, 'warning', 'auto_approve_unbounded', 'this approves any duration; bound context.durationSeconds'));
  }
  if (anyone || anyResource) {
    const severity = anyone && anyResource ? 'error' : 'warning';
    const what = [anyone ? 'everybody' : '', anyResource ? 'everything' : ''].filter(Boolean).join(' and ');
    found.push(at(policy, severity, 'auto_approve_wildcard', `this approves without a human for ${what}`));
  }
  return found;
}

/** The domain never lets a requester review. A policy that says so as well keeps holding should the domain fail. */
function selfReview(policies: readonly ReadPolicy[]): PolicyFinding[] {
  const about = (policy: ReadPolicy) => actionsOf(policy.json)?.includes('review') ?? true;
  const excludes = ({ json }: ReadPolicy) => factsRead(json.conditions).some((path) => path.join('.') === 'context.requester');
  if (policies.some((policy) => policy.json.effect === 'forbid' && about(policy) && excludes(policy))) return [];
  return policies
    .filter((policy) => policy.json.effect === 'permit' && about(policy) && !excludes(policy))
    .map((policy) => at(policy, 'warning', 'self_review_not_excluded', 'no policy keeps a requester from reviewing (context.requester)'));
}

function unknownNames(policy: ReadPolicy, catalogue: Catalogue): PolicyFinding[] {
  const seen = new Map(entityNames(policy.json).map((name) => [`${name.type}::${name.id}`, name]));
  return [...seen.values()].flatMap(({ type, id }) => {
    const known = namesOf(catalogue, type);
    if (known !== null && !known.includes(id)) {
      const message = `there is no ${type.toLowerCase()} ${quoted(id)}: this part never matches.${didYouMean(id, known)}`;
      return [at(policy, 'warning', 'unknown_name', message)];
    }
    if (type === 'Group' && !catalogue.principals.some(({ groups }) => groups.includes(id))) {
      return [at(policy, 'warning', 'empty_group', `the group ${quoted(id)} has no members: this part never matches`)];
    }
    return [];
  });
}

function at(policy: ReadPolicy, severity: PolicyFinding['severity'], code: FindingCode, message: string): PolicyFinding {
  return finding(severity, code, message, placeOf(policy.statement.place), policy.id);
}
