import { Refusal } from '#domain/refusal.ts';
import type { Row, TargetSession } from './connect.ts';
import { quoteIdentifier } from './identifier.ts';
import { plainText } from '../plain-text.ts';
import { HARMLESS_PREDEFINED } from './scope.ts';

/** One row of `pg_auth_members`. Before PostgreSQL 16 there is one for each role and member, and only `admin` is real. */
export interface Membership {
  readonly role: string;
  readonly roleOid: number;
  readonly member: string;
  readonly grantorOid: number;
  readonly admin: boolean;
  readonly inherit: boolean;
  readonly set: boolean;
}

/** The memberships that a role has (`of`), or that others have in it (`in`). */
export async function membershipsOf(session: TargetSession, side: 'of' | 'in', oid: number): Promise<readonly Membership[]> {
  // Read through jsonb because the two newer columns do not exist everywhere.
  const rows = await session.rows(
    `select r.rolname as role, m.roleid, u.rolname as member, m.grantor, m.admin_option,
       coalesce((to_jsonb(m)->>'inherit_option')::bool, u.rolinherit) as inherit, coalesce((to_jsonb(m)->>'set_option')::bool, true) as may_set
     from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member
     where ${side === 'of' ? 'm.member' : 'm.roleid'} = $1 order by r.rolname, u.rolname, m.grantor`, [oid],
  );
  return rows.map((row) => ({
    role: String(row['role']), roleOid: Number(row['roleid']), member: String(row['member']), grantorOid: Number(row['grantor']),
    admin: row['admin_option'] === true, inherit: row['inherit'] === true, set: row['may_set'] === true,
  }));
}

/** Gives a plain membership: inherited and usable by `SET ROLE`, never with the right to pass it on. */
export async function grantMembership(session: TargetSession, role: string, member: string): Promise<void> {
  const options = session.version >= 160_000 ? ' with admin false, inherit true, set true' : '';
  await session.rows(`grant ${quoteIdentifier(role)} to ${quoteIdentifier(member)}${options}`);
}

export async function revokeMembership(session: TargetSession, role: string, member: string): Promise<void> {
  await session.rows(`revoke ${quoteIdentifier(role)} from ${quoteIdentifier(member)}`);
}

/** Everything reached by being a member of the roles named, with what makes a role too much to lend. */
const REACH = `
with recursive reach(oid, admin, via) as (
  select r.oid, false, r.rolname::text from pg_roles r where r.rolname = any($1)
  union
  select m.roleid, m.admin_option, reach.via from pg_auth_members m join reach on m.member = reach.oid
)
select r.rolname, reach.via, bool_or(reach.admin) as admin, r.rolname = current_user as self,
  r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls as powerful
from reach join pg_roles r on r.oid = reach.oid
group by r.oid, r.rolname, reach.via, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls`;

/**
 * Refuses roles through which an account could widen or outlive its grant, at any depth: superuser and the other
 * attributes (by `SET ROLE`), predefined roles that reach files, programs or other sessions, Brevet's own role, and any
 * membership that may be passed on to somebody else.
 * @throws Refusal `dangerous_scope`, or `target_refused` when a role does not exist
 */
export async function checkReach(session: TargetSession, roles: readonly string[]): Promise<void> {
  if (roles.length === 0) return;
  const rows = await session.rows(REACH, [roles]);
  for (const role of roles) {
    if (!rows.some((row) => row['rolname'] === role)) throw new Refusal('target_refused', `there is no role ${plainText(role)} on the target`);
  }
  const fault = rows.map(faultOf).find((one) => one !== null);
  if (fault) throw new Refusal('dangerous_scope', fault, { field: '/roles' });
}

/** What makes one of the roles too much to be lent, or to be given what others left, in words; `null` when nothing does. */
export async function faultOfReach(session: TargetSession, roles: readonly string[]): Promise<string | null> {
  return (await session.rows(REACH, [roles])).map(faultOf).find((fault) => fault !== null) ?? null;
}

function faultOf(row: Row): string | null {
  const name = String(row['rolname']);
  const through = row['via'] === name ? '' : ` (reached through ${String(row['via'])})`;
  const why = row['self'] === true ? 'is Brevet\'s own'
    : row['powerful'] !== false ? 'is a superuser, or may create roles or databases, replicate, or bypass row security'
    : name.startsWith('pg_') && !HARMLESS_PREDEFINED.includes(name) ? 'reaches beyond tables'
    : row['admin'] !== false ? 'could be passed on to others (admin option)'
    : null;
  return why && plainText(`role ${name}${through} ${why}`);
}
