import type { PartPlan, Provisioned } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { changeTarget, confirmClaim } from './change-target.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import { findAccount, isObjectName, mark, roleByName, sealOf, type Role } from './marker.ts';
import { checkReach, grantMembership, membershipsOf, revokeMembership } from './memberships.ts';
import { changePrivileges, heldPrivileges, keyOf, type Privilege } from './privileges.ts';
import { readAccount } from './read-account.ts';
import { resolveScope } from './resolve-scope.ts';
import { parseScope, type Scope } from './scope.ts';
import { scramVerifier } from './scram.ts';
import type { Tools } from './tools.ts';

/**
 * Makes the account of an `ephemeral_account` part: one transaction holds role, password, expiry, grants and mark, so
 * that a crash leaves all of it or nothing. Run again it takes the same role over, with a new password, and makes it
 * exactly what the plan says. Read back inside the transaction and again after it.
 */
export async function provisionAccount(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('ephemeral_account', plan.scope);
  if (!isObjectName(plan.objectName)) throw new Refusal('invalid_input', 'the account\'s name does not come from a grant', { field: '/objectName' });
  if (Number.isNaN(plan.deadline.getTime())) throw new Refusal('invalid_input', 'the deadline is no date', { field: '/deadline' });
  const password = Buffer.from(tools.random(24)).toString('base64url');
  const verifier = await scramVerifier(password, tools.random(16));
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  const made = await changeTarget(session, plan.objectName, true, async () => {
    const { own, stranger } = await findAccount(session, plan);
    refuseOthers(plan, own, stranger);
    await checkReach(session, scope.roles);
    const privileges = await resolveScope(session, scope);
    await session.rows(roleSql(plan, scope, verifier, own !== null));
    const role = await roleByName(session, plan.objectName);
    if (!role) throw new Refusal('target_refused', 'the target made the account, and does not show it');
    if (own) await strip(session, own, privileges, scope);
    await changePrivileges(session, 'grant', privileges, plan.objectName);
    for (const name of scope.roles) await grantMembership(session, name, plan.objectName);
    await mark(session, plan.objectName, { grant: plan.grant, part: plan.part, fence: plan.fence, oid: role.oid, seal: sealOf(verifier) });
    const planned = { oid: role.oid, name: plan.objectName, deadline: plan.deadline, scope, privileges };
    await readAccount(session, planned);
    await confirmClaim(stillMine);
    return { planned, adopted: own !== null };
  });
  const read = await readAccount(session, made.planned);
  return { secret: password, evidence: { ...read, adopted: made.adopted, serverVersion: session.version } };
}

function refuseOthers(plan: PartPlan, own: Role | null, stranger: Role | null): void {
  if (stranger) {
    throw new Refusal('target_refused', `a role named ${plan.objectName} exists on the target and is not of this part`, {
      hint: 'Somebody else made it, or took Brevet\'s mark away.',
    });
  }
  if (own && own.name !== plan.objectName) throw new Refusal('target_refused', 'the account was renamed on the target');
  if (own?.marker && own.marker.fence > plan.fence) {
    throw new Refusal('conflict', 'a later worker has made this account already; nothing was changed');
  }
}

/**
 * The attributes left out (superuser ...) are off by default, and only a superuser may mention them; the reading-back
 * makes sure of them. The expiry is in UTC with its `Z`, whatever time zone the server or the role has.
 */
function roleSql(plan: PartPlan, scope: Scope, verifier: string, exists: boolean): string {
  const role = quoteIdentifier(plan.objectName);
  const readOnly = scope.readOnly ? `; alter role ${role} set default_transaction_read_only = on` : '';
  return `${exists ? 'alter' : 'create'} role ${role} with login inherit connection limit ${scope.connectionLimit}
    valid until ${quoteLiteral(plan.deadline.toISOString())} password ${quoteLiteral(verifier)}${readOnly}`;
}

/** Takes from an account found what the plan does not say: somebody gave it in the meantime. */
async function strip(session: TargetSession, own: Role, privileges: readonly Privilege[], scope: Scope): Promise<void> {
  const wanted = new Set(privileges.map(keyOf));
  const extra = (await heldPrivileges(session, own.oid)).filter((held) => held.grantable || !wanted.has(keyOf(held)));
  await changePrivileges(session, 'revoke', extra, own.name);
  for (const { role, admin } of await membershipsOf(session, 'of', own.oid)) {
    if (admin || !scope.roles.includes(role)) await revokeMembership(session, role, own.name);
  }
}
