import type { GateRefusal } from '#app/ports/gate.ts';
import type { RefusalCode } from '#domain/refusal.ts';
import { HINTS as COMMON_HINTS, warnWords, type Words } from '../carried/words.ts';
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
  ...COMMON_HINTS,
  unauthenticated: 'Connect with "brevet psql TARGET", which signs you in.',
  token_spent: 'A token opens one session: "brevet psql TARGET" gets a fresh one.',
  no_active_grant: 'Ask for it: brevet request ENTITLEMENT --reason "..."; or connect with options=\'wait\' and have it waited for.',
};

/** What the client hears at the cut. */
export function cutSpeech(words: Words): Speech {
  return { severity: 'FATAL', code: '57P01', ...words };
}

export function warnSpeech(remainingMs: number): Speech {
  return { severity: 'WARNING', code: '01000', ...warnWords(remainingMs) };
}

export function waitSpeech(words: Words): Speech {
  return { severity: 'NOTICE', code: '00000', ...words };
}
