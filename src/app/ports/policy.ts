import type { JsonObject } from '#domain/json.ts';

/** One Cedar action for each question that Brevet asks. */
export const POLICY_ACTIONS = [
  'request', // may ask for this at all
  'autoApprove', // needs no human
  'review', // may decide on this request
  'activate', // asked once more when a grant becomes real
  'connect', // asked at every session, and again while it runs
  'extend',
  'breakGlass',
  'replay', // may watch a recording
  'administer',
] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Who acts. Groups by name; a workload carries its owner's name. */
export interface PolicyPrincipal {
  readonly kind: 'person' | 'workload';
  readonly id: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly owner: string | null;
  readonly administrator: boolean;
}

/** What is acted on: an entitlement with its targets and folders, by name. `null` for acts on Brevet itself. */
export interface PolicyResource {
  readonly id: string;
  readonly name: string;
  readonly folder: string | null;
  readonly kinds: readonly string[];
  readonly targets: readonly { readonly name: string; readonly type: string; readonly folder: string | null }[];
}

/**
 * The facts of the moment. A fact that is not known is absent, never a default: policies test with `context has`.
 * Instants are ISO 8601 in UTC.
 */
export interface PolicyContext {
  readonly now: string;
  readonly durationSeconds?: number;
  readonly startAt?: string;
  readonly reason?: string;
  readonly ticket?: string;
  readonly clientIp?: string;
  /** How the principal signed in, and how long ago. */
  readonly authentication?: { readonly method: string; readonly ageSeconds: number; readonly phishingResistant: boolean };
  readonly onBehalfOf?: string;
  /** For `review`: who asked. */
  readonly requester?: string;
}

export interface PolicyQuestion {
  readonly action: PolicyAction;
  readonly principal: PolicyPrincipal;
  readonly resource: PolicyResource | null;
  readonly context: PolicyContext;
}

/** One policy's part in a verdict. `id` is its `@id`, `reason` its `@reason`. */
export interface PolicyMatch {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly reason: string | null;
}

/** A permit that came close: which of its conditions did not hold, in Cedar's own text, with the facts that it read. */
export interface NearMiss {
  readonly id: string;
  readonly reason: string | null;
  readonly unsatisfied: readonly string[];
}

/** A decision that explains itself. `allowed` is true only if a permit was satisfied and nothing forbade or failed. */
export interface Verdict {
  readonly allowed: boolean;
  readonly policyVersion: number;
  readonly satisfied: readonly PolicyMatch[];
  /** For a refusal: the forbids that decided, or the nearest permits. */
  readonly forbidden: readonly PolicyMatch[];
  readonly nearest: readonly NearMiss[];
  /** Policies that could not be evaluated (an attribute that is not there); any of them denies. */
  readonly failed: readonly { readonly id: string; readonly message: string }[];
}

/** A finding of validation or lint, with where it stands. */
export interface PolicyFinding {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly policy: string | null;
}

export interface PolicySource {
  readonly file: string;
  readonly text: string;
}

/** One published, immutable version of all policies. */
export interface PolicySet {
  readonly version: number;
  readonly sources: readonly PolicySource[];
}

/** Decides and explains. Pure but for caching what it parsed; the same question and version give the same verdict. */
export interface PolicyEngine {
  /** Parses and validates against the schema. Errors make a set unpublishable. */
  validate(sources: readonly PolicySource[]): readonly PolicyFinding[];
  decide(set: PolicySet, question: PolicyQuestion): Verdict;
}

/** A verdict as it is stored and sent. */
export function verdictJson(verdict: Verdict): JsonObject {
  return JSON.parse(JSON.stringify(verdict)) as JsonObject;
}

/** The ids of the policies that a refusal hangs on: what forbade it or failed, else the permits that came close. */
export function decidingPolicies({ forbidden, failed, nearest }: Verdict): readonly string[] {
  const against = [...forbidden, ...failed];
  return (against.length > 0 ? against : nearest).map(({ id }) => id);
}
