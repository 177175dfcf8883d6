import { mayEndSession } from '#app/visibility.ts';
import type { Answer } from '#contract/routes.ts';
import type { Session } from '#domain/grant.ts';
import { Directory, entitlementRef, iso } from './directory.ts';

type Wire = Answer<'sessions'>['items'][number];

export async function presentSession(directory: Directory, session: Session): Promise<Wire> {
  const { viewer } = directory;
  const grant = await directory.grant(session.grant);
  const part = (await directory.parts(session.grant))?.find((one) => one.id === session.part);
  if (!grant || !part) throw new Error(`session ${session.id} has lost its grant`);
  const may = mayEndSession(viewer, session, grant);
  return {
    id: session.id,
    grant: session.grant,
    principal: await directory.principal(session.principal),
    entitlement: entitlementRef(grant.entitlement),
    target: await directory.targetRef(part.target),
    protocol: session.protocol,
    state: session.state,
    openedAt: session.openedAt.toISOString(),
    endedAt: iso(session.endedAt),
    endReason: session.endReason,
    clientAddress: session.clientAddress,
    application: session.application,
    statements: session.statements,
    bytesIn: session.bytesIn,
    bytesOut: session.bytesOut,
    recordingRoot: session.recordingRoot,
    actions: { end: { allowed: may && session.state !== 'ended', reason: session.state === 'ended' ? 'the session has ended' : may ? null : 'only its holder, the reviewers of its grant and administrators end it' } },
  };
}
