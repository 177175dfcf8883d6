/** Answers of the API as a small world would give them: Ana asks, Bo reviews, `orders-read` on the target `orders`. */
import type { Answer } from '#contract/routes.ts';

const id = <P extends string>(prefix: P, n = 1) => `${prefix}_01jd0000000000000000000${String(n).padStart(3, '0')}` as const;

export const ana = { id: id('per', 1), kind: 'person', name: 'ana', displayName: 'Ana Novak' } as const;
export const bo = { id: id('per', 2), kind: 'person', name: 'bo', displayName: 'Bo Lind' } as const;
export const orders = { id: id('tgt'), name: 'orders', type: 'postgresql' } as const;
export const ordersRead = { id: id('ent'), name: 'orders-read', title: 'Read the orders database', revision: 3 } as const;
export const keyId = id('key');
export const requestId = id('req');
export const grantId = id('grt');
export const sessionId = id('ses');
export const hash = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

const yes = { allowed: true, reason: null };
const no = (reason: string) => ({ allowed: false, reason });
export const permits: Answer<'simulatePolicies'>['verdict'] = { allowed: true, policyVersion: 4, satisfied: [{ id: 'staff-may-ask', effect: 'permit', reason: 'staff may ask' }], forbidden: [], nearest: [], failed: [] };
export const refuses: typeof permits = { ...permits, allowed: false, satisfied: [], nearest: [{ id: 'staff-may-ask', reason: null, unsatisfied: ['principal in Group::"staff"'] }] };
export const stage = { name: 'owners', groups: ['dba'], required: 1, approved: 0, reviewers: ['bo'] };

export const me: Answer<'me'> = { ...ana, administrator: false, groups: ['staff'], owner: null, key: keyId, authentication: { method: 'link', at: '2026-11-24T12:00:00Z' } };

export const entitlement: Answer<'entitlements'>['items'][number] = {
  ...ordersRead, targets: [orders], kinds: ['role'], reach: ['read schema sales'], defaultDurationSeconds: 3600, maxDurationSeconds: 14_400,
  endMode: 'cut', stages: [stage], request: yes,
};

export const preview: Answer<'previewRequest'> = {
  entitlement: ordersRead, durationSeconds: 1800, reach: ['read schema sales'], request: permits, autoApprove: refuses,
  explanation: ['staff may ask (staff-may-ask)'], stages: [stage], outcome: 'needs_review',
};

export const request: Answer<'request'> = {
  id: requestId, state: 'pending', principal: ana, onBehalfOf: null, entitlement: ordersRead, targets: [orders], reach: ['read schema sales'],
  extendsGrant: null, reason: 'why are invoices late?', reasonEscaped: null, ticket: 'OPS-114', durationSeconds: 1800, startAt: null,
  createdAt: '2026-11-24T12:00:00Z', expiresAt: '2026-11-24T16:00:00Z', decidedAt: null, decisionReason: null, erasedAt: null, hash, policyVersion: 4,
  verdict: permits, explanation: ['staff may ask (staff-may-ask)'], stages: [stage], reviews: [], grant: null,
  actions: { approve: yes, deny: yes, cancel: yes },
};

export const approved: Answer<'request'> = {
  ...request, state: 'approved', decidedAt: '2026-11-24T12:01:00Z', grant: grantId, stages: [{ ...stage, approved: 1 }],
  reviews: [{ reviewer: bo, stage: 0, decision: 'approve', reason: null, durationSeconds: null, narrowedScopes: null, at: '2026-11-24T12:01:00Z' }],
  actions: { approve: no('it is approved'), deny: no('it is approved'), cancel: no('it is approved') },
};

/** Active, for 17 minutes more than `nowMs` says. */
export function activeGrant(nowMs = Date.now()): Answer<'grant'> {
  const at = (seconds: number) => new Date(nowMs + seconds * 1000).toISOString();
  return {
    id: grantId, request: requestId, principal: ana, onBehalfOf: null, entitlement: ordersRead, state: 'active', reason: 'why are invoices late?',
    ticket: null, durationSeconds: 1800, createdAt: at(-780), startAt: at(-780), activatedAt: at(-779), deadline: at(17 * 60 + 30), revokeDueAt: null,
    endReason: null, endedAt: null, overdueAt: null, liveSessions: 0,
    parts: [{ ordinal: 0, target: orders, kind: 'role', object: 'brevet_grt_01jd', account: 'brevet_grt_01jd', state: 'present', reach: ['read schema sales'], attempts: 1, lastError: null, nextStep: null, nextAttemptAt: null, evidence: null }],
    connect: { protocol: 'postgresql', host: '127.0.0.1', port: 6432, database: 'orders-read', user: 'ana' },
    actions: { connect: yes, extend: yes, finish: yes, revoke: yes },
  };
}

export function endedGrant(nowMs = Date.now()): Answer<'grant'> {
  const grant = activeGrant(nowMs);
  const ended = no('it has ended');
  return { ...grant, state: 'ended', endReason: 'expired', endedAt: new Date(nowMs - 5000).toISOString(), connect: null, actions: { connect: ended, extend: ended, finish: ended, revoke: ended } };
}

export const session: Answer<'endSession'> = {
  id: sessionId, grant: grantId, principal: ana, entitlement: ordersRead, target: orders, protocol: 'postgresql', state: 'active',
  openedAt: '2026-11-24T12:05:00Z', endedAt: null, endReason: null, clientAddress: '127.0.0.1', application: 'psql', statements: 2, bytesIn: 100, bytesOut: 2000,
  recordingRoot: null, actions: { end: yes },
};

export const page = <T>(...items: readonly T[]): { items: T[]; next: null } => ({ items: [...items], next: null });
