import { z } from 'zod';

/** An error on the wire: RFC 9457 problem details, with a code from a closed list. */
export const PROBLEM_CODES = [
  'invalid_input', 'invalid_duration', 'duration_too_long', 'invalid_configuration', 'unauthenticated', 'forbidden',
  'own_request', 'not_a_reviewer', 'policy_denied', 'no_approval_path', 'not_found', 'wrong_state', 'stale_hash',
  'already_reviewed', 'already_exists', 'conflict', 'quota_exceeded', 'rate_limited', 'scope_too_wide', 'dangerous_scope',
  'target_unreachable', 'target_refused', 'clock_skew', 'no_active_grant', 'token_spent', 'recorder_unavailable',
  'unavailable', 'payload_too_large', 'unsupported', 'internal',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export const Problem = z.strictObject({
  /** `https://brevet.dev/problems/<code>`: a name, not an address to fetch. */
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.enum(PROBLEM_CODES),
  /** What went wrong, in a sentence for whoever asked. */
  detail: z.string(),
  /** What to do next. */
  hint: z.string().optional(),
  /** Which part of the input: a JSON pointer, or file:line:column. */
  field: z.string().optional(),
  facts: z.record(z.string(), z.json()).optional(),
  /** Names this failure in the server's own log. */
  trace: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;
