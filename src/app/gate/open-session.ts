import { sessionOpened } from '#domain/events/session-events.ts';
import type { Grant, GrantPart, Session } from '#domain/grant.ts';
import type { PrincipalId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { isDisabled, knowPrincipal, policyPrincipal, type Known } from '../actor.ts';
import { connectorFor, type App } from '../app.ts';
import { currentPolicies, demand, policyResource, type Question } from '../ask-policy.ts';
import type { OpenSession, SessionTicket, Upstream } from '../ports/gate.ts';
import type { PolicyResource } from '../ports/policy.ts';
import { secretIdentity } from '../ports/sealed-identity.ts';
import type { Tx } from '../ports/store.ts';
import { accountCredential } from '../target-access.ts';

/** A broker must be heard of this often, and asks three times as often; after the grace it cuts by itself, and later the session counts as lost. */
export const LEASE_MS = 10_000;

/**
 * The one place where a session comes to be (A12): who it is, that the grant is active and its deadline ahead, that
 * policy permits `connect` now, that the target speaks the client's protocol, and the one-time token's end, are checked in
 * one transaction with the session's birth.
 * @throws Refusal `unauthenticated`, `token_spent`, `no_active_grant`, `policy_denied`, `wrong_state`, `unsupported`
 */
export function openSession(app: App, ask: OpenSession): Promise<SessionTicket> {
  return app.store.transaction(async (tx) => {
    const proven = await whoIsIt(tx, ask);
    const known = await knowPrincipal(tx, proven.principal);
    if (!known || isDisabled(known)) throw new Refusal('unauthenticated', 'this identity is disabled');
    const { grant, part } = await findGrant(tx, known, ask, proven.grant);
    // Only now, under the grant's lock: tokens come last. Of any number of racers one finds it unspent.
    if (ask.proof.by === 'token' && !(await tx.credentials.spendToken(ask.proof.handle, tx.now))) throw tokenSpent();
    const deadline = grant.deadline;
    if (grant.state !== 'active' || deadline === null || deadline <= tx.now) throw new Refusal('no_active_grant', 'the grant is not active');
    const { endMode, warnSeconds } = grant.entitlement;
    if (endMode === 'no_new_sessions' && deadline.getTime() - tx.now.getTime() <= warnSeconds * 1000) {
      throw new Refusal('no_active_grant', 'the grant is about to end and takes no new sessions', { hint: `More time: brevet extend ${grant.id}` });
    }
    await demandConnect(app, tx, known, grant, ask.client.address);
    const session: Session = {
      id: app.newId('session', tx.now),
      grant: grant.id,
      part: part.id,
      principal: known.principal.id,
      protocol: ask.protocol,
      broker: ask.broker,
      state: 'pending',
      openedAt: tx.now,
      leaseUntil: leaseUntil(tx.now, grant),
      clientAddress: ask.client.address,
      application: ask.client.application,
      facts: {},
      cutReason: null,
      endedAt: null,
      endReason: null,
      statements: 0,
      bytesIn: 0,
      bytesOut: 0,
      recordingRoot: null,
    };
    await tx.sessions.insert(session);
    await tx.log(sessionOpened(session));
    return {
      session: session.id,
      grant: grant.id,
      principalName: known.principal.name,
      entitlementName: grant.entitlement.name,
      remainingMs: deadline.getTime() - tx.now.getTime(),
      leaseMs: LEASE_MS,
      graceMs: grant.entitlement.graceSeconds * 1000,
      endMode,
      warnMs: warnSeconds * 1000,
      maskLiterals: grant.entitlement.maskLiterals,
      upstream: await upstreamOf(app, tx, part, ask),
    };
  });
}

/** The lease outlives the broker's own grace, so that a session never counts as lost while it may still run. */
export function leaseUntil(now: Date, grant: Grant): Date {
  return new Date(now.getTime() + LEASE_MS + grant.entitlement.graceSeconds * 1000);
}

const tokenSpent = () => new Refusal('token_spent', 'this one-time token was used already, or is too old', { hint: 'Get a new one: brevet connect GRANT --token' });

async function whoIsIt(tx: Tx, { proof }: OpenSession): Promise<{ principal: PrincipalId; grant: Grant['id'] | null }> {
  if (proof.by === 'token') {
    const token = await tx.credentials.token(proof.handle, tx.now);
    if (!token) throw tokenSpent();
    return { principal: token.principal, grant: token.grant };
  }
  const certificate = await tx.credentials.certificate(proof.fingerprint, tx.now);
  if (!certificate || certificate.principal !== proof.subject) {
    throw new Refusal('unauthenticated', 'this certificate is not known, or not valid any more', { hint: 'Get a new one: brevet psql' });
  }
  return certificate;
}

/** The grant that carries this session: the one named by the client or its credential, else the newest on the target. */
async function findGrant(tx: Tx, known: Known, ask: OpenSession, bound: Grant['id'] | null): Promise<{ grant: Grant; part: GrantPart }> {
  const wanted = bound ?? ask.grant;
  const target = ask.target === null ? null : await tx.catalogue.targetByName(ask.target);
  const candidates = wanted === null
    ? await tx.grants.list({ principal: known.principal.id, state: 'active', ...(target ? { target: target.id } : {}) }, { before: null, limit: 50 })
    : [await tx.grants.byId(wanted)];
  for (const candidate of candidates) {
    if (!candidate || candidate.principal !== known.principal.id) continue;
    if (ask.target !== null && !target) continue;
    const grant = await tx.grants.lock(candidate.id);
    const parts = await tx.parts.ofGrant(candidate.id);
    const part = parts.find((one) => one.state === 'present' && (target === null || one.target === target.id));
    if (grant && part && grant.state === 'active' && grant.deadline && grant.deadline > tx.now) return { grant, part };
  }
  throw new Refusal('no_active_grant', `you hold no active grant${ask.target === null ? '' : ` on "${ask.target}"`}`, { hint: await howToAsk(tx, target?.id ?? null) });
}

async function howToAsk(tx: Tx, target: string | null): Promise<string> {
  const entitlements = (await tx.catalogue.entitlements()).filter((one) => one.retiredAt === null && one.parts.some((part) => target === null || part.target === target));
  const names = entitlements.slice(0, 5).map((one) => one.name);
  return names.length === 0 ? 'brevet entitlements lists what may be requested.' : `Ask for it: brevet request ${names.join('|')} --reason "..."`;
}

/** Policy is asked at every session, and the same again at each renewal (I7). @throws Refusal `policy_denied` */
async function demandConnect(app: App, tx: Tx, known: Known, grant: Grant, address: string): Promise<void> {
  demand(app, await currentPolicies(tx), connectQuestion(known, await policyResource(tx, grant.entitlement), address, tx.now));
}

export function connectQuestion(known: Known, resource: PolicyResource, address: string, now: Date): Question {
  return { action: 'connect', principal: policyPrincipal(known), resource, context: { now: now.toISOString(), clientIp: address } };
}

async function upstreamOf(app: App, tx: Tx, part: GrantPart, { protocol, within }: OpenSession): Promise<Upstream> {
  const target = await tx.catalogue.target(part.target);
  if (!target) throw new Refusal('not_found', 'the target is gone');
  const connector = connectorFor(app, target.type);
  const sealed = await tx.parts.sealedSecret(part.id);
  const password = sealed
    ? app.secrets.openText(sealed, secretIdentity(part.id))
    : part.account === null ? null : await accountCredential(app, tx, part.target, part.account);
  if (password === null) throw new Refusal('unavailable', 'no credential is stored for this grant');
  const upstream = connector.upstream({ target: target.config, scope: part.scope, user: part.account ?? part.objectName, password, within });
  if (upstream.protocol !== protocol) throw new Refusal('unsupported', `"${target.name}" is reached by ${upstream.protocol}, not by ${protocol}`);
  return upstream;
}
