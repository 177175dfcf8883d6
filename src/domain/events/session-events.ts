import type { Session } from '../grant.ts';
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
