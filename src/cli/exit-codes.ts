import type { ProblemCode } from '#contract/problem.ts';

/** What the shell sees. Scripts branch on these: a number keeps its meaning for ever. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  state: 5,
  unauthenticated: 6,
  unavailable: 7,
  timeout: 8,
  checkFailed: 9,
  limited: 10,
  interrupted: 130,
} as const;
export type ExitCode = number;

/** The table that `brevet help exit-codes` and docs/cli.md show. */
export const EXIT_MEANINGS: { readonly [K in keyof typeof EXIT]: string } = {
  ok: 'done, and what you asked about is fine',
  internal: 'a defect, in Brevet or in this command',
  usage: 'the command line, a file or a value is wrong',
  refused: 'policy, a reviewer or your rights say no',
  notFound: 'it does not exist, or it is not yours to see; for psql also: no active grant',
  state: 'it has moved on, or somebody else was faster: look again',
  unauthenticated: 'not signed in, or the sign-in no longer counts',
  unavailable: 'Brevet or the target can not be reached, or is not able to work now',
  timeout: 'you waited for something that did not come in time; it may still come',
  checkFailed: 'a check found errors: log verification, policy tests, lint, plan, doctor',
  limited: 'too many, or too fast: a quota or a rate limit',
  interrupted: 'stopped by Ctrl-C',
};

/** One row for each code that a server can answer with; the type demands all of them. */
export const EXIT_OF_PROBLEM: { readonly [C in ProblemCode]: ExitCode } = {
  invalid_input: EXIT.usage,
  invalid_duration: EXIT.usage,
  duration_too_long: EXIT.usage,
  invalid_configuration: EXIT.usage,
  scope_too_wide: EXIT.usage,
  payload_too_large: EXIT.usage,
  unsupported: EXIT.usage,
  forbidden: EXIT.refused,
  own_request: EXIT.refused,
  not_a_reviewer: EXIT.refused,
  policy_denied: EXIT.refused,
  no_approval_path: EXIT.refused,
  dangerous_scope: EXIT.refused,
  not_found: EXIT.notFound,
  no_active_grant: EXIT.notFound,
  wrong_state: EXIT.state,
  stale_hash: EXIT.state,
  already_reviewed: EXIT.state,
  already_exists: EXIT.state,
  conflict: EXIT.state,
  unauthenticated: EXIT.unauthenticated,
  token_spent: EXIT.unauthenticated,
  target_unreachable: EXIT.unavailable,
  target_refused: EXIT.unavailable,
  clock_skew: EXIT.unavailable,
  recorder_unavailable: EXIT.unavailable,
  unavailable: EXIT.unavailable,
  quota_exceeded: EXIT.limited,
  rate_limited: EXIT.limited,
  internal: EXIT.internal,
};
