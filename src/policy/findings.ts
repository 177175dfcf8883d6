import type { PolicyFinding } from '#app/ports/policy.ts';

/** Every code that validation and lint of policies report. A closed list: documentation and pipelines refer to it. */
export const FINDING_CODES = [
  // validation
  'policy_too_large', // more text or more policies than a set may hold
  'policy_too_complex', // nested or chained deeper than the engine can safely evaluate
  'policy_syntax', // not Cedar
  'policy_schema', // Cedar, but not about the world of the schema: unknown type, attribute, unguarded optional fact
  'policy_never_applies', // Cedar proves that it can't hold for any question
  'policy_template', // a template; Brevet has no links for it
  'policy_id_missing',
  'policy_id_invalid',
  'policy_id_duplicate',
  'hidden_character', // bidirectional control or zero-width character: the text does not say what it shows
  'name_not_ascii', // names are ASCII by rule; this one is a look-alike or a mistake
  // lint of policies
  'reason_missing',
  'action_unconstrained',
  'principal_unconstrained',
  'resource_unconstrained',
  'auto_approve_unbounded', // no condition reads the duration
  'auto_approve_wildcard',
  'self_review_not_excluded',
  'break_glass_weak', // no condition reads how the person signed in
  'sign_in_method_unknown', // compares with a word that never occurs
  'forbid_everything',
  'unknown_name',
  'empty_group',
  // lint of a catalogue
  'no_approval_path',
  'no_requester',
  'stage_unpassable',
  'stage_without_substitute',
  'duration_over_limit',
  'folder_differs',
  // policy tests
  'test_invalid',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** A place in a file, counted from 1; columns count characters, not bytes. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export function finding(
  severity: PolicyFinding['severity'],
  code: FindingCode,
  message: string,
  place: Place | null,
  policy: string | null = null,
): PolicyFinding {
  return { severity, code, message, file: place?.file ?? null, line: place?.line ?? null, column: place?.column ?? null, policy };
}

export function placeOf({ file, line, column }: Place): Place {
  return { file, line, column };
}
