import type { Session } from '../grant.ts';
import type { PrincipalId } from '../id.ts';
import type { LogEvent } from '../log-event.ts';

const about = (session: Session) => ({ session: session.id, grant: session.grant, principal: session.principal, protocol: session.protocol });

export function sessionOpened(session: Session): LogEvent {
  return {
    type: 'session.opened',
    actor: session.principal,
    data: { ...about(session), part: session.part },
    personal: { subject: session.principal, data: { address: session.clientAddress, application: session.application } },
  };
}

export function sessionActive(session: Session): LogEvent {
  return { type: 'session.active', actor: 'system', data: about(session) };
}

/** Somebody asked for the end of sessions: one, or all of a principal or on a target. The end itself is its own entry. */
export function sessionsEndAsked(of: { readonly session?: string; readonly principal?: string; readonly target?: string }, count: number, actor: PrincipalId): LogEvent {
  return { type: 'session.end_asked', actor, data: { ...of, count } };
}

export function sessionEnded(session: Session): LogEvent {
  return {
    type: 'session.ended',
    actor: 'system',
    data: {
      ...about(session),
      reason: session.endReason,
      statements: session.statements,
      bytesIn: session.bytesIn,
      bytesOut: session.bytesOut,
      recordingRoot: session.recordingRoot,
    },
  };
}
