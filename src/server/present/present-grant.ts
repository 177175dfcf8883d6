import { isOwn, mayRevoke } from '#app/visibility.ts';
import type { Answer } from '#contract/routes.ts';
import type { Grant, GrantPart } from '#domain/grant.ts';
import { Directory, entitlementRef, iso } from './directory.ts';
import { presentEvidence, presentProblem } from './part-problem.ts';

type Wire = Answer<'grant'>;

/** Where clients reach the broker. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** A grant as the API shows it, with what this viewer may do about it and why not. */
export async function presentGrant(directory: Directory, broker: BrokerAddress | null, grant: Grant): Promise<Wire> {
  const { viewer } = directory;
  const request = await directory.request(grant.request);
  const parts = (await directory.parts(grant.id)) ?? [];
  const live = await directory.liveSessions(grant.id);
  const holder = await directory.known(grant.principal);
  const me = viewer.principal.id;
  const mine = isOwn(me, grant, holder?.principal.owner ?? null);
  const active = grant.state === 'active';
  const ending = grant.state === 'revoking' || grant.state === 'ended';
  const reviewer = mayRevoke(viewer, grant);
  const notActive = `the grant is ${grant.state}`;
  return {
    id: grant.id,
    request: grant.request,
    principal: await directory.principal(grant.principal),
    onBehalfOf: grant.onBehalfOf === null ? null : await directory.principal(grant.onBehalfOf),
    entitlement: entitlementRef(grant.entitlement),
    state: grant.state,
    reason: request?.reason ?? '',
    ticket: request?.ticket ?? null,
    durationSeconds: grant.durationSeconds,
    createdAt: grant.createdAt.toISOString(),
    startAt: grant.startAt.toISOString(),
    activatedAt: iso(grant.activatedAt),
    deadline: iso(grant.deadline),
    revokeDueAt: iso(grant.revokeDueAt),
    endReason: grant.endReason,
    endedAt: iso(grant.endedAt),
    overdueAt: iso(grant.overdueAt),
    parts: await Promise.all(parts.map((part) => presentPart(directory, part))),
    liveSessions: live ?? 0,
    connect: active && me === grant.principal ? await connectInfo(directory, broker, grant) : null,
    actions: {
      connect: { allowed: active && me === grant.principal, reason: me !== grant.principal ? 'only its holder connects' : active ? null : notActive },
      extend: { allowed: active && me === grant.principal, reason: me !== grant.principal ? 'only its holder asks for more time' : active ? null : notActive },
      finish: { allowed: mine && !ending, reason: !mine ? 'only its holder gives it back' : ending ? notActive : null },
      revoke: { allowed: reviewer && !ending, reason: !reviewer ? 'only its reviewers and administrators revoke it' : ending ? notActive : null },
    },
  };
}

async function presentPart(directory: Directory, part: GrantPart): Promise<Wire['parts'][number]> {
  const problem = presentProblem(part, directory.viewer.principal.administrator);
  return {
    ordinal: part.ordinal,
    target: await directory.targetRef(part.target),
    kind: part.kind,
    object: part.objectName,
    account: part.account,
    state: part.state,
    reach: await directory.reach(part.target, part.kind, part.scope),
    attempts: part.attempts,
    lastError: problem?.lastError ?? null,
    nextStep: problem?.nextStep ?? null,
    nextAttemptAt: iso(part.dueAt),
    evidence: presentEvidence(part, directory.viewer.principal.administrator) as Wire['parts'][number]['evidence'],
  };
}

/** For the first part that a broker serves: one with an account made for it, or whose account's secret Brevet keeps. */
export async function connectInfo(directory: Directory, broker: BrokerAddress | null, grant: Grant): Promise<Wire['connect']> {
  if (!broker) return null;
  for (const part of (await directory.parts(grant.id)) ?? []) {
    const target = await directory.target(part.target);
    if (target?.type !== 'postgresql') continue;
    if (part.account !== null && !(await directory.keepsAccount(part.target, part.account))) continue;
    return { protocol: 'postgresql', host: broker.host, port: broker.port, database: target.name, user: directory.viewer.principal.name };
  }
  return null;
}
