import type { PartPlan } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { changeTarget, confirmClaim } from './change-target.ts';
import type { TargetSession } from './connect.ts';
import { checkOwners } from './lent-roles.ts';
import { findAccount, isObjectName, mark, roleByName, type Role } from './marker.ts';
import { checkReach, grantMembership, membershipsOf, revokeMembership } from './memberships.ts';
import { changePrivileges, heldPrivileges, keyOf, type Privilege } from './privileges.ts';
import { readAccount } from './read-account.ts';
import { resolveScope } from './resolve-scope.ts';
import type { Scope } from './scope.ts';
import type { Tools } from './tools.ts';

/** In what the role of an account that people sign in to differs from one that raises an account there is. */
export interface RoleShape {
  /** `create` or `alter role` with attributes, password, settings. */
  sql(exists: boolean): string;
  readonly seal: string | null;
  /** Who is to be a member of the role; looked up in the transaction that makes it. */
  raises(): Promise<Role | null>;
}

/**
 * Makes a part's role: one transaction holds role, expiry, grants, membership and mark, so that a crash leaves all of it
 * or nothing. Run again it takes the same role over and makes it exactly what the plan says. Read back inside the
 * transaction and again after it; answers what was read.
 */
export async function makeRole(session: TargetSession, plan: PartPlan, scope: Scope, shape: RoleShape, stillMine: () => Promise<boolean>, tools: Tools): Promise<JsonObject> {
  if (!isObjectName(plan.objectName)) throw new Refusal('invalid_input', 'the account\'s name does not come from a grant', { field: '/objectName' });
  if (Number.isNaN(plan.deadline.getTime())) throw new Refusal('invalid_input', 'the deadline is no date', { field: '/deadline' });
  const { grant, part, fence, objectName: name, deadline } = plan;
  const made = await changeTarget(session, name, true, async () => {
    const { own, stranger } = await findAccount(session, plan, tools.installation);
    refuseOthers(plan, own, stranger);
    const raised = await shape.raises();
    await checkReach(session, scope.roles);
    await checkOwners(session, plan.target, scope, tools);
    const privileges = await resolveScope(session, scope);
    await session.rows(shape.sql(own !== null));
    const role = await roleByName(session, name);
    if (!role) throw new Refusal('target_refused', 'the target made the account, and does not show it');
    if (own) await strip(session, own, privileges, scope);
    await changePrivileges(session, 'grant', privileges, name);
    for (const lent of scope.roles) await grantMembership(session, lent, name);
    if (raised) await grantMembership(session, name, raised.name);
    await mark(session, name, { installation: tools.installation, grant, part, fence, oid: role.oid, raises: raised?.oid ?? null, seal: shape.seal });
    const planned = { oid: role.oid, name, deadline, scope, privileges, raises: raised?.name ?? null };
    await readAccount(session, planned);
    await confirmClaim(stillMine);
    return { planned, adopted: own !== null };
  }, true);
  const read = await readAccount(session, made.planned);
  return { ...read, adopted: made.adopted, serverVersion: session.version };
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

/** Takes from an account found what the plan does not say: somebody gave it in the meantime. */
async function strip(session: TargetSession, own: Role, privileges: readonly Privilege[], scope: Scope): Promise<void> {
  const wanted = new Set(privileges.map(keyOf));
  const extra = (await heldPrivileges(session, own.oid)).filter((held) => held.grantable || !wanted.has(keyOf(held)));
  await changePrivileges(session, 'revoke', extra, own.name);
  for (const { role, admin } of await membershipsOf(session, 'of', own.oid)) {
    if (admin || !scope.roles.includes(role)) await revokeMembership(session, role, own.name);
  }
}
