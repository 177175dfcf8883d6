import type { PrincipalId } from '../id.ts';
import type { Json } from '../json.ts';
import type { LogEvent } from '../log-event.ts';

type Actor = PrincipalId | 'system';

export function principalCreated(id: PrincipalId, kind: string, owner: string | null, actor: Actor): LogEvent {
  return { type: 'principal.created', actor, data: { principal: id, kind, owner } };
}

export function principalDisabled(id: PrincipalId, actor: Actor): LogEvent {
  return { type: 'principal.disabled', actor, data: { principal: id } };
}

export function principalEnabled(id: PrincipalId, actor: Actor): LogEvent {
  return { type: 'principal.enabled', actor, data: { principal: id } };
}

/** Somebody proved who they are and enrolled a key. */
export function keyEnrolled(id: PrincipalId, key: string, method: string, label: string): LogEvent {
  return { type: 'key.enrolled', actor: id, data: { principal: id, key, method }, personal: { subject: id, data: { label } } };
}

export function passwordSet(id: PrincipalId): LogEvent {
  return { type: 'password.set', actor: id, data: { principal: id } };
}

export function keyRevoked(id: PrincipalId, key: string, actor: Actor): LogEvent {
  return { type: 'key.revoked', actor, data: { principal: id, key } };
}

export function linkIssued(id: PrincipalId, actor: Actor): LogEvent {
  return { type: 'sign_in_link.issued', actor, data: { principal: id } };
}

/** One entry for everything that one `brevet apply` changed: each object's kind, name (a person's id) and what happened to it. */
export function configurationApplied(changes: Json, actor: Actor): LogEvent {
  return { type: 'configuration.applied', actor, data: { changes } };
}

export function policyPublished(version: number, sha256: string, actor: Actor): LogEvent {
  return { type: 'policy.published', actor, data: { version, sha256 } };
}

/** Brevet's own secret for a target, or that of one of its accounts, was replaced. Which one, never what. */
export function credentialSet(target: string, account: string | null, actor: Actor): LogEvent {
  return { type: 'target.credential_set', actor, data: { target, account } };
}

export function recordingViewed(session: string, actor: PrincipalId): LogEvent {
  return { type: 'recording.viewed', actor, data: { session } };
}

/** What named or described them is gone. Their requests' hashes stand in the log, and no longer match the blanked terms. */
export function personErased(id: PrincipalId, blanked: { readonly requests: number; readonly sessions: number }, actor: Actor): LogEvent {
  return { type: 'principal.erased', actor, data: { principal: id, requests: blanked.requests, sessions: blanked.sessions } };
}
