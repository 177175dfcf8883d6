import { z } from 'zod';
import {
  Duration, EntitlementRef, GrantId, Instant, JsonObject, Name, PrincipalRef, Reason, RequestId, Seconds, SessionId, TargetRef, Ticket,
} from './primitives.ts';

export const Stage = z.strictObject({
  name: z.string(),
  groups: z.array(z.string()),
  required: z.int(),
  approved: z.int(),
  /** Who could decide now: names; the requester is never among them. */
  reviewers: z.array(z.string()),
});

export const Verdict = z.strictObject({
  allowed: z.boolean(),
  policyVersion: z.int(),
  satisfied: z.array(z.strictObject({ id: z.string(), effect: z.enum(['permit', 'forbid']), reason: z.string().nullable() })),
  forbidden: z.array(z.strictObject({ id: z.string(), effect: z.enum(['permit', 'forbid']), reason: z.string().nullable() })),
  nearest: z.array(z.strictObject({ id: z.string(), reason: z.string().nullable(), unsatisfied: z.array(z.string()) })),
  failed: z.array(z.strictObject({ id: z.string(), message: z.string() })),
});

/** An action and, when it can't be done now, why. */
export const Action = z.strictObject({ allowed: z.boolean(), reason: z.string().nullable() });

export const Entitlement = z.strictObject({
  ...EntitlementRef.shape,
  targets: z.array(TargetRef),
  kinds: z.array(z.string()),
  /** What it allows, in plain words. */
  reach: z.array(z.string()),
  defaultDurationSeconds: Seconds,
  maxDurationSeconds: Seconds,
  endMode: z.string(),
  stages: z.array(Stage),
  request: Action,
});

export const NewRequest = z.strictObject({
  entitlement: Name,
  reason: Reason,
  ticket: Ticket.optional(),
  /** The entitlement's default when left out. */
  duration: Duration.optional(),
  startAt: Instant.optional(),
  /** For a workload acting for a person: that person's name. */
  onBehalfOf: Name.optional(),
});

export const RequestPreview = z.strictObject({
  entitlement: EntitlementRef,
  durationSeconds: Seconds,
  reach: z.array(z.string()),
  request: Verdict,
  autoApprove: Verdict,
  /** The verdicts in plain words, a line each. */
  explanation: z.array(z.string()),
  stages: z.array(Stage),
  outcome: z.enum(['approved_by_policy', 'needs_review', 'refused']),
});

export const Review = z.strictObject({
  reviewer: PrincipalRef,
  stage: z.int(),
  decision: z.enum(['approve', 'deny']),
  reason: z.string().nullable(),
  durationSeconds: Seconds.nullable(),
  narrowedScopes: JsonObject.nullable(),
  at: Instant,
});

export const AccessRequest = z.strictObject({
  id: RequestId,
  state: z.enum(['pending', 'approved', 'denied', 'cancelled', 'expired']),
  principal: PrincipalRef,
  onBehalfOf: PrincipalRef.nullable(),
  entitlement: EntitlementRef,
  targets: z.array(TargetRef),
  reach: z.array(z.string()),
  extendsGrant: GrantId.nullable(),
  reason: z.string(),
  /** Set when the reason, or else the ticket, holds characters that can mislead: it shows them escaped. */
  reasonEscaped: z.string().nullable(),
  ticket: z.string().nullable(),
  durationSeconds: Seconds,
  startAt: Instant.nullable(),
  createdAt: Instant,
  expiresAt: Instant,
  decidedAt: Instant.nullable(),
  decisionReason: z.string().nullable(),
  /** When reason and ticket were erased with the person: the hash is of what was asked, not of what is shown. */
  erasedAt: Instant.nullable(),
  hash: z.string(),
  policyVersion: z.int(),
  verdict: Verdict,
  explanation: z.array(z.string()),
  stages: z.array(Stage),
  reviews: z.array(Review),
  grant: GrantId.nullable(),
  actions: z.strictObject({ approve: Action, deny: Action, cancel: Action }),
});

export const NewReview = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  /** The hash of the request as the reviewer saw it: approval binds to it. */
  hash: z.string().regex(/^[0-9a-f]{64}$/).describe('the hash of the request as it was shown: 64 digits, 0 to 9 and a to f'),
  /** Demanded for a denial. */
  reason: Reason.optional(),
  /** A shorter time than asked for. */
  duration: Duration.optional(),
  /** A narrower scope, by the part's ordinal. */
  scopes: z.record(z.string().regex(/^\d$/, 'it is the number of a part, from 0'), JsonObject).optional(),
});

export const GrantPart = z.strictObject({
  ordinal: z.int(),
  target: TargetRef,
  kind: z.string(),
  object: z.string(),
  account: z.string().nullable(),
  state: z.string(),
  reach: z.array(z.string()),
  attempts: z.int(),
  /** Why the last attempt failed: a code and words. What the target itself said is for administrators only. */
  lastError: z.string().nullable(),
  /** What to do about it. */
  nextStep: z.string().nullable(),
  nextAttemptAt: Instant.nullable(),
  evidence: JsonObject.nullable(),
});

/** Where to connect with one's own client. Holds no secret. */
export const ConnectInfo = z.strictObject({
  protocol: z.literal('postgresql'),
  host: z.string(),
  port: z.int(),
  /** What to give as `dbname`. */
  database: z.string(),
  user: z.string(),
});

export const Grant = z.strictObject({
  id: GrantId,
  request: RequestId,
  principal: PrincipalRef,
  onBehalfOf: PrincipalRef.nullable(),
  entitlement: EntitlementRef,
  state: z.enum(['scheduled', 'activating', 'active', 'revoking', 'ended']),
  reason: z.string(),
  ticket: z.string().nullable(),
  durationSeconds: Seconds,
  createdAt: Instant,
  startAt: Instant,
  activatedAt: Instant.nullable(),
  deadline: Instant.nullable(),
  revokeDueAt: Instant.nullable(),
  endReason: z.string().nullable(),
  endedAt: Instant.nullable(),
  /** Since when a due removal is not verified; stays set after it was. */
  overdueAt: Instant.nullable(),
  parts: z.array(GrantPart),
  liveSessions: z.int(),
  connect: ConnectInfo.nullable(),
  actions: z.strictObject({ connect: Action, extend: Action, finish: Action, revoke: Action }),
});

export const Extension = z.strictObject({ duration: Duration, reason: Reason, ticket: Ticket.optional() });
export const Revocation = z.strictObject({ reason: Reason });
/** What a revocation of everything of a person, or on a target, took. */
export const Revoked = z.strictObject({ grants: z.array(GrantId), requests: z.array(RequestId), sessions: z.int() });

/** A one-time secret to sign in to the broker with. It is shown once and works once. */
export const ConnectionToken = z.strictObject({
  user: z.string(),
  password: z.string(),
  expiresAt: Instant,
  authority: z.string().describe("The certificate of Brevet's authority, PEM, for sslrootcert"),
  connect: ConnectInfo,
});

export const Session = z.strictObject({
  id: SessionId,
  grant: GrantId,
  principal: PrincipalRef,
  entitlement: EntitlementRef,
  target: TargetRef,
  protocol: z.string(),
  state: z.enum(['pending', 'active', 'ended']),
  openedAt: Instant,
  endedAt: Instant.nullable(),
  endReason: z.string().nullable(),
  clientAddress: z.string(),
  application: z.string().nullable(),
  statements: z.int(),
  bytesIn: z.int(),
  bytesOut: z.int(),
  recordingRoot: z.string().nullable(),
  actions: z.strictObject({ end: Action }),
});

export const Statement = z.strictObject({
  at: Instant,
  text: z.string(),
  /** Something of the text is missing here, beyond what is masked. */
  truncated: z.boolean(),
  /** Of a text of more than 64 KiB: its length, and the SHA-256 of all of it that could be shown, whether it is shown here or not. */
  long: z.strictObject({ bytes: z.int(), sha256: z.string() }).nullable(),
  /** Some of the text was replaced before it was recorded. */
  masked: z.boolean(),
  durationMs: z.number().nullable(),
  rows: z.int().nullable(),
  outcome: z.string(),
});
/** In order of time. A page ends where an answer would grow too large; the last one tells whether the recording is complete. */
export const RecordingQuery = z.strictObject({ cursor: z.string().regex(/^\d{1,9}\.\d{1,9}$/).describe('the `next` of the page before').optional() });
export const SessionRecording = z.strictObject({ session: SessionId, complete: z.boolean(), statements: z.array(Statement), next: z.string().nullable() });
