import type { GrantId, PrincipalId } from '../id.ts';
import type { LogEvent } from '../log-event.ts';

/** What somebody can prove themselves with was made. Never the thing itself. */
export function certificateIssued(principal: PrincipalId, grant: GrantId | null, fingerprint: string, notAfter: Date): LogEvent {
  return { type: 'certificate.issued', actor: principal, data: { principal, ...(grant === null ? {} : { grant }), fingerprint, notAfter: notAfter.toISOString() } };
}

export function connectionTokenIssued(principal: PrincipalId, grant: GrantId, expiresAt: Date): LogEvent {
  return { type: 'connection_token.issued', actor: principal, data: { principal, grant, expiresAt: expiresAt.toISOString() } };
}
