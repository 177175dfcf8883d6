import { z } from 'zod';
import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { actingAs } from './acting-as.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import { checkOwners, LENT, readLent } from './lent-roles.ts';
import { makeRole } from './make-role.ts';
import { roleByName, type Role } from './marker.ts';
import { checkReach } from './memberships.ts';
import { plainText } from '../plain-text.ts';
import { resolveScope } from './resolve-scope.ts';
import { parseScope } from './scope.ts';
import { checkMayEnd } from './sessions.ts';
import type { Tools } from './tools.ts';
import { clock, withdrawRole } from './withdraw.ts';

/**
 * An elevation is a marked role of the grant's own that holds what the scope says, with the account as its member
 * (docs/decisions/0015). Nothing of the account's is written over, and the role tells the sweeper what to take away when
 * the store knows nothing of it. PostgreSQL has no expiry for it: the scheduled removal and the sweeper must end it.
 */
const PRIOR = z.strictObject({
  /** The account's oid: its name may change meanwhile. */
  account: z.int(),
  accountName: z.string(),
  readAt: z.string(),
  lent: LENT.default([]),
});
type Prior = z.infer<typeof PRIOR>;

/** @throws Refusal `invalid_input` when it is not what `prepare` made */
function parsePrior(prior: JsonObject | null): Prior {
  const parsed = PRIOR.safeParse(prior);
  if (!parsed.success) throw new Refusal('invalid_input', 'the elevation has not been prepared', { field: '/prior' });
  return parsed.data;
}

/** Notes which account it is, after finding out that it may be raised and lowered again. Changes nothing. */
export async function prepareElevation(plan: PartPlan, tools: Tools): Promise<Prior & JsonObject> {
  const scope = parseScope('temporary_elevation', plan.scope);
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  const account = await accountOf(session, plan);
  await checkMayEnd(session, account.oid);
  await checkReach(session, scope.roles);
  await checkOwners(session, plan.target, scope, tools);
  await resolveScope(session, scope);
  return { account: account.oid, accountName: account.name, readAt: await clock(session), lent: await readLent(session, scope) };
}

export async function provisionElevation(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('temporary_elevation', plan.scope);
  const prior = parsePrior(plan.prior);
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  const raises = async () => {
    const account = await accountOf(session, plan);
    if (account.oid !== prior.account) throw new Refusal('target_refused', 'the account is another one than when it was prepared');
    return account;
  };
  const sql = (exists: boolean) => `${exists ? 'alter' : 'create'} role ${quoteIdentifier(plan.objectName)} with nologin inherit connection limit 0
    valid until ${quoteLiteral(plan.deadline.toISOString())}`;
  const evidence = await makeRole(session, plan, scope, { sql, seal: null, raises }, stillMine, tools);
  return { secret: null, evidence: { ...evidence, raised: plainText(prior.accountName), raisedOid: prior.account } };
}

/**
 * Takes the role away with everything it held, and ends every session that began before, of the account and of members that
 * it got meanwhile: one of them may have done SET ROLE, or runs a query begun with the raised privileges. What the account had or got beside is its own.
 */
export async function withdrawElevation(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  if (plan.prior === null) return { gone: true, residue: [], evidence: { found: false, nothingWasGiven: true } };
  return await withdrawRole(plan, parsePrior(plan.prior).account, tools);
}

async function accountOf(session: TargetSession, plan: PartPlan): Promise<Role> {
  if (plan.account === null) throw new Refusal('invalid_input', 'an elevation names the account to raise', { field: '/account' });
  const account = await roleByName(session, plan.account);
  if (!account) throw new Refusal('target_refused', `there is no role ${plainText(plan.account)} on the target`);
  if (account.superuser || account.self || account.marker || account.name.startsWith('pg_')) {
    throw new Refusal('dangerous_scope', 'superusers, predefined roles and Brevet\'s own roles can\'t be raised', { field: '/account' });
  }
  const [row] = await session.rows('select rolinherit, rolcanlogin from pg_roles where oid = $1', [account.oid]);
  if (row?.['rolcanlogin'] !== true) throw new Refusal('target_refused', `${plainText(account.name)} may not sign in to the target (NOLOGIN): nobody uses it but its members`);
  const others = (await actingAs(session, [account.oid])).filter(({ oid }) => oid !== account.oid);
  if (others.length > 0) {
    // They would be raised with it, by INHERIT or SET ROLE, and nobody decided on them.
    throw new Refusal('dangerous_scope', `${plainText(account.name)} can't be raised: it has members (${plainText(others.slice(0, 10).map(({ name }) => name).join(', '))})`, {
      field: '/account', hint: 'Raise the account that the person signs in as.',
    });
  }
  // From 16 on each membership says for itself whether it is inherited.
  if (session.version < 160_000 && row?.['rolinherit'] !== true) {
    throw new Refusal('target_refused', `${plainText(account.name)} inherits nothing of the roles that it is a member of (NOINHERIT)`, {
      hint: 'As an administrator of the target: alter role ... inherit.',
    });
  }
  return account;
}
