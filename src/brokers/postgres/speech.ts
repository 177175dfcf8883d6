import type { GateRefusal } from '#app/ports/gate.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import type { RefusalCode } from '#domain/refusal.ts';
import type { Speech } from './messages.ts';

/** The SQLSTATE with which a client hears each refusal; what is not here is 28000 (invalid authorization). */
const SQLSTATES: { readonly [Code in RefusalCode]?: string } = {
  unauthenticated: '28P01',
  token_spent: '28P01',
  forbidden: '42501',
  policy_denied: '42501',
  invalid_input: '22023',
  invalid_duration: '22023',
  duration_too_long: '22023',
  unsupported: '0A000',
  not_found: '3D000',
  quota_exceeded: '53300',
  rate_limited: '53300',
  target_unreachable: '08001',
  target_refused: '08004',
  recorder_unavailable: '58000',
  unavailable: '57P03',
  internal: 'XX000',
};

/** What a client is told when its session does not come about. */
export function refusalSpeech(refusal: GateRefusal): Speech {
  const hint = refusal.hint ?? HINTS[refusal.refused] ?? null;
  return { severity: 'FATAL', code: SQLSTATES[refusal.refused] ?? '28000', message: `Brevet: ${refusal.message}`, hint };
}

const HINTS: { readonly [Code in RefusalCode]?: string } = {
  unauthenticated: 'Connect with "brevet psql TARGET", which signs you in.',
  token_spent: 'A token opens one session: "brevet psql TARGET" gets a fresh one.',
  no_active_grant: 'Ask for it: brevet request ENTITLEMENT --reason "..."; or connect with options=\'wait\' and have it waited for.',
  target_unreachable: 'Your grant is untouched. Try again in a moment.',
  recorder_unavailable: 'Without a recording there is no session. Try again in a moment.',
};

/** Why a running session ends, in words: for reasons that the client did not cause itself. */
const ENDINGS: { readonly [Reason in SessionEndReason]?: string } = {
  deadline: 'the granted time is over',
  grant_ended: 'the access was taken back',
  ended_by_admin: 'an administrator ended the session',
  identity_disabled: 'the account was disabled',
  policy_denied: 'the policy no longer permits it',
  recorder_failed: 'the session can no longer be recorded',
  control_plane_lost: 'the broker has lost touch with Brevet',
  broker_lost: 'the broker is being stopped',
};

/** What the client hears at the cut. `at` is the wall clock's time. */
export function cutSpeech(reason: SessionEndReason, message: string | null, at: Date): Speech {
  const when = `${at.toISOString().slice(0, 19)}Z`;
  return {
    severity: 'FATAL',
    code: '57P01',
    message: `Brevet: this access ended at ${when}: ${message ?? ENDINGS[reason] ?? reason}`,
    hint: reason === 'deadline' || reason === 'grant_ended' ? 'Ask again with: brevet request ENTITLEMENT --reason "..."' : null,
  };
}

export function warnSpeech(remainingMs: number): Speech {
  const seconds = Math.max(1, Math.round(remainingMs / 1000));
  const left = seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
  return {
    severity: 'WARNING',
    code: '01000',
    message: `Brevet: this session will be cut in ${left}`,
    hint: 'Finish your work, or ask for more time with: brevet extend',
  };
}

export function waitSpeech(what: string | null, seconds: number): Speech {
  const time = seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
  return {
    severity: 'NOTICE',
    code: '00000',
    message: `Brevet: waiting up to ${time} for the approval of ${what === null ? 'your request' : `"${what}"`}`,
    hint: 'The session opens by itself when it is approved; Ctrl-C gives up.',
  };
}
