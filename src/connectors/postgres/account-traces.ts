import { entriesOf } from './access-list.ts';
import type { TargetSession } from './connect.ts';
import type { Json } from '#domain/json.ts';

/** What can outlive a session of an account, counted; in the session's database unless it says otherwise. */
const COUNTS = `
select current_database() as database,
  (select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid = $1 and deptype = 'o')::int as "owned objects on the server",
  (select count(*) from pg_proc where proowner = $1 and prosecdef)::int as "security definer functions",
  (select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid
    where p.proowner = $1 and c.relowner <> $1 and not t.tgisinternal)::int as "triggers on tables of others",
  (select count(*) from pg_default_acl where defaclrole = $1)::int as "default privileges",
  (select count(*) from (
      select relacl as acl from pg_class union all select nspacl from pg_namespace union all select proacl from pg_proc
      union all select attacl from pg_attribute where attacl is not null) o, ${entriesOf('o.acl')} a
    where a.grantor = $1 and a.grantee <> $1)::int as "privileges given to others",
  (select count(*) from pg_auth_members where roleid = $1)::int as "members",
  (select count(*) from pg_auth_members where grantor = $1 and roleid <> $1)::int as "memberships given",
  (select count(*) from pg_prepared_xacts where owner = (select rolname from pg_roles where oid = $1))::int as "prepared transactions"`;

export type Traces = Readonly<Record<string, string | number>>;

export async function countTraces(session: TargetSession, account: number): Promise<Traces> {
  const [row = {}] = await session.rows(COUNTS, [account]);
  return Object.fromEntries(Object.entries(row).map(([what, count]) => [what, typeof count === 'number' ? count : String(count)]));
}

/** What became more: found and reported, and left alone, because it may as well be the account's usual work. */
export function moreTraces(before: Traces, after: Traces): readonly Json[] {
  if (before['database'] !== after['database']) return [];
  return Object.entries(after)
    .filter(([what, count]) => typeof count === 'number' && count > Number(before[what] ?? 0))
    .map(([what, count]) => ({ kind: 'left_by_account', what, before: Number(before[what] ?? 0), after: count }));
}
