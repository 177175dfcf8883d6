/**
 * Every reason for which Brevet says no. The list is closed: the HTTP edge maps each code to a status, the command line
 * to an exit code, and a test holds the three together.
 */
export const REFUSAL_CODES = [
  'invalid_input', // the input is malformed; `field` says where
  'invalid_duration', // zero, negative, not a number, unreadable
  'duration_too_long', // above the entitlement's maximum, which the message names
  'invalid_configuration', // access as code: wrong YAML, unknown name, wrong Cedar; with file and line
  'unauthenticated', // no or wrong proof of identity
  'forbidden', // known, and not allowed
  'own_request', // the requester may not decide on it, by any path
  'not_a_reviewer', // not in a group of the current stage
  'policy_denied', // Cedar says no; the verdict is attached
  'no_approval_path', // neither automatic approval nor a stage that anyone could pass
  'not_found', // does not exist, or is not yours to see
  'wrong_state', // the object has moved on; the message names its state
  'stale_hash', // the review names another request hash than the one stored
  'already_reviewed', // one review for each person and request
  'already_exists', // a name is taken
  'conflict', // somebody else changed it in between, or an idempotency key was used for something else
  'quota_exceeded', // too many open requests, grants or tokens
  'rate_limited', // too fast
  'scope_too_wide', // a narrowed scope is not within the requested one
  'dangerous_scope', // superuser, role administration, a system catalogue ...
  'target_unreachable', // the target does not answer
  'target_refused', // the target answers, and refuses
  'clock_skew', // the target's clock is off by more than the limit
  'no_active_grant', // nothing to connect with; the hint says how to ask
  'token_spent', // a one-time secret was used already, or is too old
  'recorder_unavailable', // no recording, no session
  'unavailable', // store, log or key provider is down
  'payload_too_large',
  'unsupported', // a version or feature this build does not have
  'internal', // a defect of ours; the details are in the server's log, under the trace id
] as const;

export type RefusalCode = (typeof REFUSAL_CODES)[number];

export interface RefusalDetails {
  /** Which field of the input, as a JSON pointer or a file:line:column. */
  readonly field?: string;
  /** What to do next, in one sentence. */
  readonly hint?: string;
  /** Further public facts, never a secret: they leave the server. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The one exception that use cases throw. `message` is meant for the person who asked and never holds a secret. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  readonly details: RefusalDetails;
  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}
