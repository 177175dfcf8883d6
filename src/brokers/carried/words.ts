import type { SessionEndReason } from '#domain/lifecycle.ts';
import type { RefusalCode } from '#domain/refusal.ts';

/** What people read, whatever the protocol that brings it to them. */
export interface Words {
  readonly message: string;
  readonly hint: string | null;
}

/** What helps where the gate gave no hint of its own, and every protocol would say the same. */
export const HINTS: { readonly [Code in RefusalCode]?: string } = {
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
export function cutWords(reason: SessionEndReason, message: string | null, at: Date): Words {
  const when = `${at.toISOString().slice(0, 19)}Z`;
  return {
    message: `Brevet: this access ended at ${when}: ${message ?? ENDINGS[reason] ?? reason}`,
    hint: reason === 'deadline' || reason === 'grant_ended' ? 'Ask again with: brevet request ENTITLEMENT --reason "..."' : null,
  };
}

export function warnWords(remainingMs: number): Words {
  return {
    message: `Brevet: this session will be cut in ${timeOf(Math.max(1, Math.round(remainingMs / 1000)))}`,
    hint: 'Finish your work, or ask for more time with: brevet extend',
  };
}

export function waitWords(what: string | null, seconds: number): Words {
  return {
    message: `Brevet: waiting up to ${timeOf(seconds)} for the approval of ${what === null ? 'your request' : `"${what}"`}`,
    hint: 'The session opens by itself when it is approved; Ctrl-C gives up.',
  };
}

function timeOf(seconds: number): string {
  return seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
}
