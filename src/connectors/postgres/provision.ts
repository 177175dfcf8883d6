import type { PartPlan, Provisioned } from '#app/ports/connector.ts';
import { openTarget } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import { makeRole } from './make-role.ts';
import { sealOf } from './marker.ts';
import { parseScope, type Scope } from './scope.ts';
import { scramVerifier } from './scram.ts';
import type { Tools } from './tools.ts';

/** Makes the account of an `ephemeral_account` part, with a new password at each attempt. */
export async function provisionAccount(plan: PartPlan, stillMine: () => Promise<boolean>, tools: Tools): Promise<Provisioned> {
  const scope = parseScope('ephemeral_account', plan.scope);
  const password = Buffer.from(tools.random(24)).toString('base64url');
  const verifier = await scramVerifier(password, tools.random(16));
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  const shape = { sql: (exists: boolean) => roleSql(plan, scope, verifier, exists), seal: sealOf(verifier), raises: () => Promise.resolve(null) };
  return { secret: password, evidence: await makeRole(session, plan, scope, shape, stillMine, tools) };
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
