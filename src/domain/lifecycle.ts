/**
 * The state machines, as data. One table feeds the domain, the check constraints in the store's schema, the diagram in
 * ARCHITECTURE.md and, later, the console's buttons; `test/rules/` holds them together.
 */
export const REQUEST_STATES = ['pending', 'approved', 'denied', 'cancelled', 'expired'] as const;
export type RequestState = (typeof REQUEST_STATES)[number];

export const GRANT_STATES = ['scheduled', 'activating', 'active', 'revoking', 'ended'] as const;
export type GrantState = (typeof GRANT_STATES)[number];

/** A part is one target's share of a grant: `planned` (intent recorded), `present` (read back), `removing`, `absent` (read back). */
export const PART_STATES = ['planned', 'present', 'removing', 'absent'] as const;
export type PartState = (typeof PART_STATES)[number];

export const SESSION_STATES = ['pending', 'active', 'ended'] as const;
export type SessionState = (typeof SESSION_STATES)[number];

export const END_REASONS = [
  'expired', // the deadline came
  'completed', // the requester is done
  'revoked', // a reviewer or an administrator took it away
  'activation_failed', // it never became real
  'identity_disabled', // the principal, or a workload's owner, was disabled
  'target_retired',
  'entitlement_retired',
  'policy_changed', // `activate` or `connect` no longer permits
] as const;
export type EndReason = (typeof END_REASONS)[number];

export const SESSION_END_REASONS = [
  'client_closed',
  'target_closed',
  'deadline',
  'grant_ended',
  'ended_by_admin',
  'identity_disabled',
  'policy_denied',
  'recorder_failed',
  'control_plane_lost', // the grace without a lease ran out
  'broker_lost', // the broker's lease ran out: it died
  'failed_to_start',
] as const;
export type SessionEndReason = (typeof SESSION_END_REASONS)[number];

type Transitions<S extends string> = { readonly [From in S]: readonly S[] };

export const REQUEST_TRANSITIONS: Transitions<RequestState> = {
  pending: ['approved', 'denied', 'cancelled', 'expired'],
  approved: [],
  denied: [],
  cancelled: [],
  expired: [],
};

export const GRANT_TRANSITIONS: Transitions<GrantState> = {
  scheduled: ['activating', 'revoking'], // revoking: taken back before anything was touched
  activating: ['active', 'revoking'],
  active: ['revoking'],
  revoking: ['ended'],
  ended: [],
};

export const PART_TRANSITIONS: Transitions<PartState> = {
  planned: ['present', 'removing', 'absent'], // absent: taken back before anything was touched
  present: ['removing'],
  removing: ['absent'],
  absent: [],
};

export const SESSION_TRANSITIONS: Transitions<SessionState> = {
  pending: ['active', 'ended'],
  active: ['ended'],
  ended: [],
};

/** Whether a table lets `from` become `to`. */
export function mayBecome<S extends string>(table: Transitions<S>, from: S, to: S): boolean {
  return table[from].includes(to);
}
