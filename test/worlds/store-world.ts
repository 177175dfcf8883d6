/** Values to put into a store, with every member filled in, and the pieces that a PostgreSQL store is made of. */
import { randomBytes } from 'node:crypto';
import type { Tx } from '#app/ports/store.ts';
import type { Entitlement, Target } from '#domain/entitlement.ts';
import { objectName, type Grant, type GrantPart, type Session } from '#domain/grant.ts';
import { makeId, type GrantId, type Id, type IdKind, type PrincipalId, type RequestId, type TargetId } from '#domain/id.ts';
import type { Principal } from '#domain/principal.ts';
import { requestHash, type AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';

export const newId = <K extends IdKind>(kind: K, now: Date): Id<K> => makeId(kind, now.getTime(), randomBytes(10));

export { monotonic } from '#main/runtime.ts';

const BORN = new Date('2026-01-01T00:00:00.000Z');
let count = 0;
const unique = (word: string) => `${word}-${++count}-${randomBytes(3).toString('hex')}`;
export const later = (at: Date, ms: number) => new Date(at.getTime() + ms);

export function person(more: Partial<Principal> = {}): Principal {
  const name = unique('person');
  return { id: newId('person', BORN), kind: 'person', name, displayName: `The ${name}`, owner: null, disabledAt: null, administrator: false, ...more };
}

export function target(more: Partial<Target> = {}): Target {
  return { id: newId('target', BORN), name: unique('target'), type: 'postgresql', folder: null, config: { host: '10.0.0.1', port: 5432 }, retiredAt: null, ...more };
}

export function entitlement(targets: readonly TargetId[], more: Partial<Entitlement> = {}): Entitlement {
  const name = unique('entitlement');
  return {
    id: newId('entitlement', BORN), name, title: `To ${name}`, folder: null, revision: 1,
    parts: targets.map((each) => ({ target: each, kind: 'ephemeral_account', account: null, scope: { databases: ['orders'], verbs: ['select'] } })),
    stages: [], defaultDuration: 600, maxDuration: 3600, endMode: 'cut', warnSeconds: 0, graceSeconds: 30, maskLiterals: true, retiredAt: null, ...more,
  };
}

export function request(of: Entitlement, principal: PrincipalId, now: Date, more: Partial<AccessRequest> = {}): AccessRequest {
  const terms = {
    id: newId('request', now), principal, onBehalfOf: null, entitlementId: of.id, entitlement: of, extendsGrant: null,
    reason: 'something is slow', ticket: 'OPS-1', durationSeconds: 600, startAt: null, createdAt: now, expiresAt: later(now, 3_600_000), policyVersion: 1, ...more,
  };
  return { state: 'pending', verdict: { allowed: true }, decidedAt: null, decisionReason: null, erasedAt: null, ...terms, hash: requestHash(terms) };
}

export function review(of: AccessRequest, reviewer: Principal, now: Date, more: Partial<Review> = {}): Review {
  return {
    id: newId('review', now), request: of.id, requestHash: of.hash, stage: 0, reviewer: reviewer.id as Id<'person'>, decision: 'approve', reason: 'fine',
    narrowed: { durationSeconds: 300 }, createdAt: now,
    authentication: { method: 'link', at: now, phishingResistant: true, by: 'key_1' }, ...more,
  };
}

export function grant(of: AccessRequest, now: Date, more: Partial<Grant> = {}): Grant {
  return {
    id: newId('grant', now), request: of.id, principal: of.principal, onBehalfOf: of.onBehalfOf, entitlementId: of.entitlementId, entitlement: of.entitlement,
    state: 'scheduled', durationSeconds: of.durationSeconds, createdAt: now, startAt: now, activateBy: later(now, 600_000), activatedAt: null, deadline: null,
    revokeDueAt: null, endReason: null, endedAt: null, overdueAt: null, ...more,
  };
}

export function part(of: Grant, ordinal: number, more: Partial<GrantPart> = {}): GrantPart {
  const planned = of.entitlement.parts[ordinal];
  if (!planned) throw new Error('the entitlement has no such part');
  return {
    id: newId('part', of.createdAt), grant: of.id, ordinal, target: planned.target, kind: planned.kind, scope: planned.scope, objectName: objectName(of.id, ordinal),
    account: null, state: 'planned', deadline: null, prior: null, evidence: null, work: null, dueAt: null, fence: 0, attempts: 0, lastError: null, ...more,
  };
}

export function session(of: Grant, by: GrantPart, now: Date, more: Partial<Session> = {}): Session {
  return {
    id: newId('session', now), grant: of.id, part: by.id, principal: of.principal, protocol: 'postgresql', broker: 'brk_1', state: 'pending', openedAt: now,
    leaseUntil: later(now, 10_000), clientAddress: '192.0.2.7', application: 'psql', facts: { pid: 1 }, cutReason: null, endedAt: null, endReason: null,
    statements: 0, bytesIn: 0, bytesOut: 0, recordingRoot: null, ...more,
  };
}

export interface Held {
  readonly principal: Principal;
  readonly targets: readonly Target[];
  readonly entitlement: Entitlement;
  readonly request: AccessRequest;
  readonly grant: Grant;
  readonly parts: readonly GrantPart[];
}

/** Somebody, targets and an entitlement over them; version 1 of the policies, if it is the first. */
export async function catalogue(tx: Tx, { targets = 1 } = {}): Promise<Pick<Held, 'principal' | 'targets' | 'entitlement'>> {
  if ((await tx.policies.current()) === null) await tx.policies.publish(1, [{ file: 'a.cedar', text: 'permit (principal, action, resource);' }], null, tx.now);
  const principal = person();
  await tx.principals.insert(principal);
  const made = Array.from({ length: targets }, () => target());
  for (const each of made) await tx.catalogue.saveTarget(each);
  const over = entitlement(made.map(({ id }) => id));
  await tx.catalogue.saveEntitlement(over);
  return { principal, targets: made, entitlement: over };
}

/** A grant in `state`, as use cases would have brought it there; `due` makes its parts' provisioning due. */
export async function held(tx: Tx, options: { readonly targets?: number; readonly state?: 'scheduled' | 'activating' | 'active'; readonly deadline?: Date; readonly of?: Pick<Held, 'principal' | 'targets' | 'entitlement'> } = {}): Promise<Held> {
  const { state = 'active' } = options;
  const of = options.of ?? (await catalogue(tx, { targets: options.targets ?? 1 }));
  const asked = request(of.entitlement, of.principal.id, tx.now);
  await tx.requests.insert(asked);
  await tx.requests.decide(asked.id, 'approved', tx.now, null);
  const made = grant(asked, tx.now, {
    state, ...(state === 'active' ? { activatedAt: new Date(tx.now.getTime() - 60_000), deadline: options.deadline ?? later(tx.now, 600_000) } : {}),
  });
  await tx.grants.insert(made);
  const parts = of.entitlement.parts.map((_, ordinal) => part(made, ordinal));
  for (const each of parts) {
    await tx.parts.insert(each);
    if (state !== 'scheduled') await tx.parts.due(each.id, 'provision', tx.now);
  }
  return { ...of, request: asked, grant: made, parts };
}

/** Looks to the store like something sealed under a root key of this id, which `textIn` reads back. */
export const SEALED_UNDER = '00'.repeat(8);
const HEADER = Buffer.concat([Buffer.of(1), Buffer.from(SEALED_UNDER, 'hex')]);
export const sealedLike = (text: string): Uint8Array => Buffer.concat([HEADER, Buffer.from(text)]);
export const textIn = (sealed: Uint8Array | null): string | null => sealed && Buffer.from(sealed.subarray(HEADER.length)).toString();

export type { GrantId, RequestId };
