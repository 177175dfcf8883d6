import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import type { TargetSession } from './connect.ts';
import { membershipsOf } from './memberships.ts';
import { plainText } from '../plain-text.ts';
import { heldPrivileges, keyOf, wordsOf, type Privilege } from './privileges.ts';
import type { Scope } from './scope.ts';

/** What the role of a part should be. */
export interface PlannedAccount {
  readonly oid: number;
  readonly name: string;
  readonly deadline: Date;
  readonly scope: Scope;
  readonly privileges: readonly Privilege[];
  /** The account that is to be its one member; `null` for one that people sign in to, which has none. */
  readonly raises: string | null;
}

/** Evidence lists this many privileges by name; the count is always exact. */
const SHOWN = 100;

/**
 * Reads a role back and compares: attributes, expiry, memberships both ways, and every privilege it holds.
 * @throws Refusal `target_refused` when it is more or less than planned
 */
export async function readAccount(session: TargetSession, planned: PlannedAccount): Promise<JsonObject> {
  const { oid, scope } = planned;
  const [role] = await session.rows(
    `select rolname, rolcanlogin, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as powerful,
       rolconnlimit, rolvaliduntil::text as until, rolvaliduntil = $2::timestamptz as timely, now()::text as read_at
     from pg_roles where oid = $1`, [oid, planned.deadline.toISOString()],
  );
  const faults: string[] = [];
  const signsIn = planned.raises === null;
  if (role?.['rolname'] !== planned.name || role['rolcanlogin'] !== signsIn) faults.push(signsIn ? 'it can\'t sign in' : 'it can sign in');
  if (role?.['powerful'] !== false) faults.push('it has attributes of an administrator');
  if (role?.['timely'] !== true) faults.push('its expiry is not the deadline');
  if (role?.['rolconnlimit'] !== scope.connectionLimit) faults.push('its connection limit is another');
  const of = await membershipsOf(session, 'of', oid);
  const roles = [...new Set(of.map((membership) => membership.role))].sort();
  if (roles.join('\0') !== scope.roles.join('\0') || of.some(({ admin }) => admin)) faults.push(`it is a member of ${roles.join(', ') || 'nothing'}`);
  const members = (await membershipsOf(session, 'in', oid)).filter(({ member }) => member !== session.config.user);
  const others = members.filter(({ member }) => member !== planned.raises);
  if (others.length > 0) faults.push(`${others.map(({ member }) => member).join(', ')} may act as it`);
  if (planned.raises !== null && !members.some(({ member, inherit, set, admin }) => member === planned.raises && inherit && set && !admin)) {
    faults.push(`${planned.raises} is not a plain member of it`);
  }
  const held = await heldPrivileges(session, oid);
  faults.push(...compare(held, planned.privileges));
  if (faults.length > 0) {
    throw new Refusal('target_refused', plainText(`the account made is not as planned: ${faults.slice(0, 5).join('; ')}`), {
      hint: 'Brevet\'s role on the target must own what it grants, or hold it with grant option.',
    });
  }
  return {
    account: planned.name, oid, validUntil: String(role?.['until']), connectionLimit: scope.connectionLimit, memberships: roles,
    privileges: held.slice(0, SHOWN).map((privilege) => plainText(wordsOf(privilege))), privilegeCount: held.length,
    readAt: String(role?.['read_at']),
  };
}

function compare(held: readonly (Privilege & { grantable: boolean })[], planned: readonly Privilege[]): string[] {
  const has = new Set(held.map(keyOf));
  const wants = new Set(planned.map(keyOf));
  return [
    ...planned.filter((privilege) => !has.has(keyOf(privilege))).map((privilege) => `it lacks ${wordsOf(privilege)}`),
    ...held.filter((privilege) => !wants.has(keyOf(privilege))).map((privilege) => `it also has ${wordsOf(privilege)}`),
    ...held.filter(({ grantable }) => grantable).map((privilege) => `it may pass on ${wordsOf(privilege)}`),
  ];
}
