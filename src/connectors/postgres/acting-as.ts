import type { TargetSession } from './connect.ts';

/**
 * Who could act as one of these roles, at any depth: as members they inherit, or do SET ROLE. Those roles themselves stand in it
 * too. From PostgreSQL 16 on there are memberships that only allow passing the role on; who has no other is left out.
 * Superusers and Brevet's own role need no membership; nobody is found through them.
 */
export async function actingAs(session: TargetSession, oids: readonly number[]): Promise<readonly { oid: number; name: string }[]> {
  const rows = await session.rows(
    `with recursive acting(oid) as (
       select r.oid from pg_roles r where r.oid = any($1::oid[]) and not r.rolsuper and r.rolname <> current_user
       union
       select r.oid from acting join pg_auth_members m on m.roleid = acting.oid join pg_roles r on r.oid = m.member
       where not r.rolsuper and r.rolname <> current_user
         and (coalesce((to_jsonb(m)->>'set_option')::bool, true) or coalesce((to_jsonb(m)->>'inherit_option')::bool, true)))
     select r.oid, r.rolname from acting join pg_roles r on r.oid = acting.oid order by r.rolname`, [oids],
  );
  return rows.map((row) => ({ oid: Number(row['oid']), name: String(row['rolname']) }));
}
