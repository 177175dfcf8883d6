import type { Grant, GrantPart } from '../grant.ts';
import type { PrincipalId } from '../id.ts';
import type { Json } from '../json.ts';
import type { LogEvent } from '../log-event.ts';

type Actor = PrincipalId | 'system';
const about = (grant: Grant) => ({ grant: grant.id, request: grant.request, principal: grant.principal });

export function grantScheduled(grant: Grant, parts: readonly GrantPart[], actor: Actor): LogEvent {
  return {
    type: 'grant.scheduled',
    actor,
    data: {
      ...about(grant),
      startAt: grant.startAt.toISOString(),
      durationSeconds: grant.durationSeconds,
      parts: parts.map((p) => ({ part: p.id, target: p.target, kind: p.kind, scope: p.scope, object: p.objectName })),
    },
  };
}

export function grantActivating(grant: Grant): LogEvent {
  return { type: 'grant.activating', actor: 'system', data: about(grant) };
}

export function partPresent(grant: Grant, part: GrantPart, evidence: Json): LogEvent {
  return { type: 'grant.part_present', actor: 'system', data: { ...about(grant), part: part.id, target: part.target, fence: part.fence, evidence } };
}

/** It was present already: the target has been told of a later deadline, and was read back. */
export function partExtended(grant: Grant, part: GrantPart, evidence: Json): LogEvent {
  return { type: 'grant.part_extended', actor: 'system', data: { ...about(grant), part: part.id, target: part.target, fence: part.fence, evidence } };
}

export function grantActive(grant: Grant, at: Date, deadline: Date): LogEvent {
  return { type: 'grant.active', actor: 'system', data: { ...about(grant), activatedAt: at.toISOString(), deadline: deadline.toISOString() } };
}

export function grantExtended(grant: Grant, request: string, deadline: Date, actor: Actor): LogEvent {
  return {
    type: 'grant.extended',
    actor,
    data: { ...about(grant), extension: request, from: grant.deadline?.toISOString() ?? null, deadline: deadline.toISOString() },
  };
}

/** `note` is the words of whoever took it away; `policies` are the ids of those that decided it. */
export function grantRevoking(grant: Grant, reason: string, actor: Actor, note: string | null, policies: readonly string[]): LogEvent {
  return {
    type: 'grant.revoking',
    actor,
    data: { ...about(grant), reason, ...(policies.length === 0 ? {} : { policies }) },
    ...(note === null || actor === 'system' ? {} : { personal: { subject: actor, data: { note } } }),
  };
}

export function partRemoving(grant: Grant, part: GrantPart): LogEvent {
  return { type: 'grant.part_removing', actor: 'system', data: { ...about(grant), part: part.id, target: part.target, fence: part.fence } };
}

export function partAbsent(grant: Grant, part: GrantPart, evidence: Json, residue: readonly Json[]): LogEvent {
  return {
    type: 'grant.part_absent',
    actor: 'system',
    data: { ...about(grant), part: part.id, target: part.target, fence: part.fence, evidence, residue },
  };
}

export function grantOverdue(grant: Grant): LogEvent {
  return { type: 'grant.overdue', actor: 'system', data: { ...about(grant), dueAt: grant.revokeDueAt?.toISOString() ?? null } };
}

/** The last word: every part was read back and found gone. */
export function grantEnded(grant: Grant, at: Date): LogEvent {
  return { type: 'grant.ended', actor: 'system', data: { ...about(grant), reason: grant.endReason, endedAt: at.toISOString(), verified: true } };
}

/** The sweeper found something of Brevet's that no live grant owns, removed it, and read back that it is gone. */
export function orphanRemoved(target: string, object: string, evidence: Json): LogEvent {
  return { type: 'sweep.removed', actor: 'system', data: { target, object, gone: true, evidence } };
}
