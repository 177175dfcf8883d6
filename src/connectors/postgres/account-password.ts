import type { PartPlan } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { changeAccount } from './account-change.ts';
import { signsIn, type TargetSession } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import type { Role } from './marker.ts';
import { parseScope } from './scope.ts';
import { md5Verifier, prepared, scramVerifier, verifies } from './scram.ts';
import type { Tools } from './tools.ts';

/** How the server kept the password of a stored account before the grant; `none` where it had none. */
export const PASSWORD_FORMS = ['scram', 'md5', 'none'] as const;
export type PasswordForm = (typeof PASSWORD_FORMS)[number];

/**
 * What a stored account's password is now: the one that Brevet keeps for it, none at all, another one. `unknown` when the
 * server would not tell, `expired` when the account's `VALID UNTIL` has passed and it can't be tried. Nothing of the server's is kept for the comparison: the credential in the store is what counts.
 */
export type PasswordNow = 'stored' | 'none' | 'another' | 'unknown' | 'expired';

/**
 * A superuser, and whoever was given `select (rolpassword)` on `pg_authid`, compares the verifier; anybody else tries to
 * sign in with the stored password.
 */
export async function readPassword(session: TargetSession, plan: PartPlan, account: Role, tools: Tools): Promise<{ now: PasswordNow; form: PasswordForm }> {
  const secret = credentialOf(plan);
  const [row] = await session.rows("select has_column_privilege('pg_authid', 'rolpassword', 'select') as may, current_setting('password_encryption') as form");
  const form: PasswordForm = row?.['form'] === 'md5' ? 'md5' : 'scram';
  if (row?.['may'] !== true) {
    const [role] = await session.rows('select rolvaliduntil <= clock_timestamp() as expired from pg_roles where oid = $1', [account.oid]);
    if (role?.['expired'] === true) return { now: 'expired', form };
    const right = await signsIn(plan.target, account.name, secret, parseScope(plan.kind, plan.scope).database, tools.timeouts);
    return { now: right === null ? 'unknown' : right ? 'stored' : 'another', form };
  }
  const [kept] = await session.rows('select rolpassword from pg_authid where oid = $1', [account.oid]);
  const verifier = kept?.['rolpassword'];
  if (typeof verifier !== 'string') return { now: 'none', form: 'none' };
  return { now: (await verifies(verifier, secret, account.name)) ? 'stored' : 'another', form: verifier.startsWith('md5') ? 'md5' : 'scram' };
}

/** Gives the account the stored password again, in the form that it had; or none. */
export async function putPasswordBack(session: TargetSession, plan: PartPlan, account: Role, form: PasswordForm, tools: Tools): Promise<void> {
  const secret = credentialOf(plan);
  const verifier = form === 'none' ? null : form === 'md5' ? md5Verifier(secret, account.name) : await scramVerifier(prepared(secret), tools.random(16));
  await changeAccount(session, plan, account, `alter role ${quoteIdentifier(account.name)} password ${verifier === null ? 'null' : quoteLiteral(verifier)}`, tools);
}

/** @throws Refusal `unavailable` when none is stored: it is tried again, and an administrator can store one meanwhile */
function credentialOf(plan: PartPlan): string {
  if (plan.accountCredential !== null) return plan.accountCredential;
  throw new Refusal('unavailable', `no password is stored for the account ${plan.account ?? ''} of this target`, { hint: 'brevet target credential TARGET --account NAME' });
}
