import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { changeTarget, confirmClaim } from './change-target.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { sqlstateOf } from './failure.ts';
import { quoteIdentifier } from './identifier.ts';
import { roleByName, roleByOid, type Role } from './marker.ts';
import { checkReach, grantMembership, membershipsOf, revokeMembership, type Membership } from './memberships.ts';
import { plainText } from './plain-text.ts';
import { parsePrior, type Prior } from './elevation-prior.ts';
import { changePrivileges, heldPrivileges, keyOf, wordsOf, type HeldPrivilege } from './privileges.ts';
import { resolveScope } from './resolve-scope.ts';
import { parseScope } from './scope.ts';
import { checkMayEnd, endSessions } from './sessions.ts';
import type { Tools } from './tools.ts';
import { clock } from './withdraw.ts';

/** Reads what the account has of the scope already, and so what is to be given, and later taken. Changes nothing. */
export async function prepareElevation(plan: PartPlan, tools: Tools): Promise<Prior & JsonObject> {
  const scope = parseScope('temporary_elevation', plan.scope);
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  const account = await accountOf(session, plan);
  await checkMayEnd(session, account.oid);
  await checkReach(session, scope.roles);
  const planned = await resolveScope(session, scope);
  const held = await heldPrivileges(session, account.oid, [...new Set(planned.map(({ oid }) => oid))]);
  const has = new Set(held.map(keyOf));
  const mine = await ourGrantor(session);
  const memberships = await membershipsOf(session, 'of', account.oid);
  const roles = scope.roles
    .filter((role) => !fullMember(memberships.filter((one) => one.role === role)))
    .map((role) => {
      const before = memberships.find((one) => one.role === role && (session.version < 160_000 || one.grantorOid === mine));
      return { role, before: before ? { admin: before.admin, inherit: before.inherit, set: before.set } : null };
    });
  return {
    account: account.oid, accountName: account.name,
    privileges: planned.filter((privilege) => !has.has(keyOf(privilege))).map(({ on, oid, column, verb, name }) => ({ on, oid, column, verb, name })),
    roles, heldBefore: scope.roles.length - roles.length + planned.filter((privilege) => has.has(keyOf(privilege))).length, readAt: await clock(session),
  };
}

/** Gives what `prepare` found missing. PostgreSQL has no expiry for it: the scheduled removal and the sweeper must end it. */
export async function provisionElevation(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('temporary_elevation', plan.scope);
  const prior = parsePrior(plan.prior);
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  await changeTarget(session, plan.objectName, true, async () => {
    const account = await accountOf(session, plan);
    if (account.oid !== prior.account) throw new Refusal('target_refused', 'the account is another one than when it was prepared');
    await checkReach(session, scope.roles);
    const planned = new Map((await resolveScope(session, scope)).map((privilege) => [keyOf(privilege), privilege]));
    const give = prior.privileges.map((one) => planned.get(keyOf(one)));
    if (give.includes(undefined)) throw new Refusal('target_refused', 'the target changed since it was prepared: something to be granted is gone');
    await changePrivileges(session, 'grant', give.filter((one) => one !== undefined), account.name);
    for (const { role } of prior.roles) await grantMembership(session, role, account.name);
    await confirmClaim(stillMine);
  });
  const has = new Set((await heldPrivileges(session, prior.account, prior.privileges.map(({ oid }) => oid))).map(keyOf));
  const memberships = await membershipsOf(session, 'of', prior.account);
  const lacking = [
    ...prior.privileges.filter((one) => !has.has(keyOf(one))).map(wordsOf),
    ...scope.roles.filter((role) => !fullMember(memberships.filter((one) => one.role === role))).map((role) => `membership in ${role}`),
  ];
  if (lacking.length > 0) throw new Refusal('target_refused', plainText(`the account was not raised as planned: it lacks ${lacking.slice(0, 5).join('; ')}`));
  return {
    secret: null,
    evidence: {
      account: plainText(prior.accountName), oid: prior.account, given: prior.privileges.slice(0, 100).map((one) => plainText(wordsOf(one))),
      givenCount: prior.privileges.length, memberships: prior.roles.map(({ role }) => plainText(role)), readAt: await clock(session),
    },
  };
}

/**
 * Takes back what was given, and only that: what was held before stays, and what an administrator changed in the
 * meantime (made grantable, granted by somebody else) is left to him and reported. Then every session of the account
 * that began before is ended: one of them may have done SET ROLE, or runs a query begun with the raised privileges.
 */
export async function withdrawElevation(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  const { database } = parseScope('temporary_elevation', plan.scope);
  if (plan.prior === null) return { gone: true, residue: [], evidence: { found: false, nothingWasGiven: true } };
  const parsed = parsePrior(plan.prior);
  const { session: opened, whole } = await openForRemoval(plan, database, tools);
  await using session = opened;
  const prior: Prior = whole ? parsed : { ...parsed, privileges: [] };
  const done = await changeTarget(session, plan.objectName, true, async () => {
    const account = await roleByOid(session, prior.account);
    if (!account) return null;
    const residue: Json[] = [];
    await takePrivileges(session, prior, account, residue);
    for (const one of prior.roles) await restoreMembership(session, one, account, residue);
    return { account, residue };
  });
  const after = await clock(session);
  if (!done) {
    const orphans = await endSessions(session, { of: 'nobody' }, tools.timeouts.sessions);
    return { gone: orphans.left === 0, residue: [], evidence: { account: plainText(prior.accountName), found: false, sessionsLeft: orphans.left, readAt: after } };
  }
  const sessions = await endSessions(session, { of: prior.account, before: after }, tools.timeouts.sessions);
  const left = await stillGiven(session, prior);
  const kept = done.residue.length;
  return {
    gone: sessions.left === 0 && left.length <= kept, residue: done.residue,
    evidence: {
      account: plainText(done.account.name), oid: prior.account, found: true, sessionsEnded: sessions.seen, sessionsLeft: sessions.left,
      left: left.slice(0, 50).map((text) => plainText(text)), readAt: await clock(session),
    },
  };
}

/** When the scope's database exists no more, neither do the privileges in it; memberships are the whole server's. */
async function openForRemoval(plan: PartPlan, database: string | null, tools: Tools): Promise<{ session: TargetSession; whole: boolean }> {
  try {
    return { session: await openTarget(plan.target, database, tools.timeouts), whole: true };
  } catch (error) {
    if (sqlstateOf(error) !== '3D000' || database === null) throw error;
    return { session: await openTarget(plan.target, null, tools.timeouts), whole: false };
  }
}

async function accountOf(session: TargetSession, plan: PartPlan): Promise<Role> {
  if (plan.account === null) throw new Refusal('invalid_input', 'an elevation names the account to raise', { field: '/account' });
  const account = await roleByName(session, plan.account);
  if (!account) throw new Refusal('target_refused', `there is no role ${plainText(plan.account)} on the target`);
  if (account.superuser || account.self || account.marker || account.name.startsWith('pg_')) {
    throw new Refusal('dangerous_scope', 'superusers, predefined roles and Brevet\'s own roles can\'t be raised', { field: '/account' });
  }
  return account;
}

/** Who stands as grantor of a membership that Brevet gives: the bootstrap superuser (oid 10) for any superuser (16 and later). */
async function ourGrantor(session: TargetSession): Promise<number> {
  if (session.superuser) return 10;
  const [row] = await session.rows('select oid from pg_roles where rolname = current_user');
  return Number(row?.['oid']);
}

function fullMember(memberships: readonly Membership[]): boolean {
  return memberships.some(({ inherit }) => inherit) && memberships.some(({ set }) => set);
}

function givenAndHeld(prior: Prior, held: readonly HeldPrivilege[]): readonly HeldPrivilege[] {
  const given = new Set(prior.privileges.map(keyOf));
  return held.filter((one) => given.has(keyOf(one)));
}

async function takePrivileges(session: TargetSession, prior: Prior, account: Role, residue: Json[]): Promise<void> {
  const held = givenAndHeld(prior, await heldPrivileges(session, prior.account));
  const changed = held.filter(({ grantable }) => grantable);
  await changePrivileges(session, 'revoke', held.filter(({ grantable }) => !grantable), account.name);
  const rest = givenAndHeld(prior, await heldPrivileges(session, prior.account)).filter((one) => !changed.includes(one));
  for (const one of rest) {
    residue.push({ kind: one.grantable ? 'made_grantable' : 'granted_by_another', name: plainText(wordsOf(one)), by: plainText(one.grantor), left: true });
  }
}

async function restoreMembership(session: TargetSession, one: Prior['roles'][number], account: Role, residue: Json[]): Promise<void> {
  const now = (await membershipsOf(session, 'of', account.oid)).filter(({ role }) => role === one.role);
  const mine = await ourGrantor(session);
  const ours = now.find(({ grantorOid }) => session.version < 160_000 || grantorOid === mine);
  if (ours?.admin && !one.before?.admin) {
    residue.push({ kind: 'membership_made_grantable', name: plainText(one.role), left: true });
  } else if (one.before === null) {
    if (now.length > 0) await revokeMembership(session, one.role, account.name);
    const rest = (await membershipsOf(session, 'of', account.oid)).filter(({ role }) => role === one.role);
    for (const other of rest) residue.push({ kind: 'membership_granted_by_another', name: plainText(one.role), by: other.grantorOid, left: true });
  } else if (ours) {
    const { admin, inherit, set } = one.before;
    await session.rows(`grant ${quoteIdentifier(one.role)} to ${quoteIdentifier(account.name)} with admin ${admin}, inherit ${inherit}, set ${set}`);
  }
}

/** What of the given is held still: empty, but for what others have given meanwhile. */
async function stillGiven(session: TargetSession, prior: Prior): Promise<readonly string[]> {
  const held = givenAndHeld(prior, await heldPrivileges(session, prior.account)).map(wordsOf);
  const memberships = await membershipsOf(session, 'of', prior.account);
  const mine = await ourGrantor(session);
  const raised = prior.roles.filter(({ role, before }) =>
    memberships.some((one) => one.role === role && (session.version < 160_000 || one.grantorOid === mine)
      && (before === null || one.inherit !== before.inherit || one.set !== before.set || one.admin !== before.admin)));
  return [...held, ...raised.map(({ role }) => `membership in ${role}`)];
}
