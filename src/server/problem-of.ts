import type { Problem } from '#contract/problem.ts';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';

/** The one place where refusals become HTTP: a status and a title for each code of the closed list. */
const PROBLEMS: Readonly<Record<RefusalCode, readonly [status: number, title: string]>> = {
  invalid_input: [400, 'The input is not valid'],
  invalid_duration: [400, 'The duration is not valid'],
  duration_too_long: [422, 'The duration is too long'],
  invalid_configuration: [422, 'The configuration has mistakes'],
  unauthenticated: [401, 'Sign in first'],
  forbidden: [403, 'You may not do this'],
  own_request: [403, 'Nobody decides on their own request'],
  not_a_reviewer: [403, 'This is not yours to decide'],
  policy_denied: [403, 'Policy does not permit this'],
  no_approval_path: [422, 'Nobody could approve this'],
  not_found: [404, 'Not found'],
  wrong_state: [409, 'It has moved on'],
  stale_hash: [409, 'The request is not the one you saw'],
  already_reviewed: [409, 'You have already decided'],
  already_exists: [409, 'It exists already'],
  conflict: [409, 'Somebody else changed it'],
  quota_exceeded: [429, 'Too many'],
  rate_limited: [429, 'Too fast'],
  scope_too_wide: [422, 'The scope is too wide'],
  dangerous_scope: [422, 'The scope is dangerous'],
  target_unreachable: [502, 'The target does not answer'],
  target_refused: [502, 'The target refused'],
  clock_skew: [502, "The target's clock is off"],
  no_active_grant: [409, 'There is no active grant'],
  token_spent: [410, 'This secret is spent'],
  recorder_unavailable: [503, 'The session could not be recorded'],
  unavailable: [503, 'Not available right now'],
  payload_too_large: [413, 'Too large'],
  unsupported: [501, 'Not supported'],
  internal: [500, 'Something went wrong on our side'],
};

export function problemOf(error: unknown, trace: string): Problem {
  if (error instanceof Refusal) {
    const [status, title] = PROBLEMS[error.code];
    const { field, hint, facts } = error.details;
    return {
      type: `https://brevet.dev/problems/${error.code}`,
      title,
      status,
      code: error.code,
      detail: error.message,
      ...(hint === undefined ? {} : { hint }),
      ...(field === undefined ? {} : { field }),
      ...(facts === undefined ? {} : { facts: facts as NonNullable<Problem['facts']> }),
      trace,
    };
  }
  return { ...problemOf(new Refusal('internal', 'Something went wrong on our side; the log of the server names it by this trace.'), trace) };
}
