import { z } from 'zod';
import type { PartPlan, TargetAccess, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { entriesOf } from './access-list.ts';
import { countTraces, moreTraces } from './account-traces.ts';
import { openSomewhere, openTarget, type TargetSession } from './connect.ts';
import { plainText } from '../plain-text.ts';
import { parseScope, type Scope } from './scope.ts';
import type { Tools } from './tools.ts';

/**
 * Who is a member of a role may act as it (`SET ROLE`): grant on what it owns, pass on what it may pass on, make functions
 * that run with its rights. None of that bears the account's name, and ends with it. So such roles are lent only where the
 * scope says so, and of every role lent it is counted before and after what could work on.
 */
export const LENT = z.array(z.object({ oid: z.int(), name: z.string(), traces: z.record(z.string(), z.union([z.string(), z.number()])) }));
export type Lent = z.infer<typeof LENT>;

const REACHED = `
with recursive reach(oid, via) as (
  select oid, rolname::text from pg_roles where rolname = any($1)
  union
  select m.roleid, reach.via from pg_auth_members m join reach on m.member = reach.oid
)
select r.oid, r.rolname, min(reach.via) as via, exists (
    select from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o' and d.classid <> 'pg_default_acl'::regclass
  ) as owns
from reach join pg_roles r on r.oid = reach.oid group by r.oid, r.rolname order by r.rolname`;

const MAY_PASS_ON = `
select distinct a.grantee from (
  select relacl as acl from pg_class union all select attacl from pg_attribute where attacl is not null
  union all select nspacl from pg_namespace union all select proacl from pg_proc union all select datacl from pg_database
  union all select typacl from pg_type union all select lanacl from pg_language union all select srvacl from pg_foreign_server
  union all select fdwacl from pg_foreign_data_wrapper union all select lomacl from pg_largeobject_metadata union all select spcacl from pg_tablespace
) o, ${entriesOf('o.acl')} a where a.is_grantable and a.grantee = any($1::oid[])`;

const ELSEWHERE = `
select distinct b.datname from pg_shdepend d join pg_database b on b.oid = d.dbid
where d.refclassid = 'pg_authid'::regclass and d.refobjid = any($1::oid[]) and d.deptype = 'a' and b.datname <> current_database() and b.datallowconn order by 1`;

/** @throws Refusal `dangerous_scope` when a role owns something or may pass something on, in any database, and the scope does not allow it */
export async function checkOwners(session: TargetSession, target: TargetAccess, scope: Scope, tools: Tools): Promise<void> {
  if (scope.roles.length === 0 || scope.ownerRoles === 'allowed') return;
  const reached = await session.rows(REACHED, [scope.roles]);
  const refuse = (oid: unknown, why: string) => {
    const row = reached.find((one) => one['oid'] === oid);
    const through = row?.['via'] === row?.['rolname'] ? '' : ` (reached through ${String(row?.['via'])})`;
    return new Refusal('dangerous_scope', plainText(`role ${String(row?.['rolname'])}${through} ${why}`), {
      field: '/roles', hint: 'What is done as it outlives the grant. Lend a role that only holds privileges, or say ownerRoles: allowed in the scope.',
    });
  };
  const owner = reached.find((row) => row['owns'] !== false);
  if (owner) throw refuse(owner['oid'], 'owns objects');
  const oids = reached.map((row) => row['oid']);
  const [here] = await session.rows(MAY_PASS_ON, [oids]);
  if (here) throw refuse(here['grantee'], 'may pass on privileges (grant option)');
  for (const row of await session.rows(ELSEWHERE, [oids])) {
    const database = String(row['datname']);
    await using there = await openTarget(target, database, tools.timeouts);
    const [found] = await there.rows(MAY_PASS_ON, [oids]);
    if (found) throw refuse(found['grantee'], `may pass on privileges in database ${database} (grant option)`);
  }
}

/** What there is of each role that the scope lends, directly or through another, before it is lent. */
export async function readLent(session: TargetSession, scope: Scope): Promise<Lent> {
  if (scope.roles.length === 0) return [];
  const lent: Lent = [];
  for (const row of await session.rows(REACHED, [scope.roles])) {
    const oid = Number(row['oid']);
    lent.push({ oid, name: String(row['rolname']), traces: await countTraces(session, oid) });
  }
  return lent;
}

export async function prepareAccount(plan: PartPlan, tools: Tools): Promise<JsonObject> {
  const scope = parseScope('ephemeral_account', plan.scope);
  if (scope.roles.length === 0) return {};
  await using session = await openTarget(plan.target, scope.database, tools.timeouts);
  return { lent: await readLent(session, scope) };
}

/** Adds to a removal that succeeded what became more of the roles that were lent; it may be the work of others, and is left alone. */
export async function reportLent(plan: PartPlan, taken: Withdrawn, tools: Tools): Promise<Withdrawn> {
  const before = LENT.safeParse(plan.prior?.['lent']).data ?? [];
  if (!taken.gone || before.length === 0) return taken;
  try {
    await using session = await openSomewhere(plan.target, parseScope(plan.kind, plan.scope).database, tools.timeouts);
    const residue: Json[] = [...taken.residue];
    for (const { oid, name, traces } of before) {
      // Its members are other grants': nobody who was lent a role may lend it on.
      const more = moreTraces(traces, await countTraces(session, oid)).filter((one) => (one as JsonObject)['what'] !== 'members');
      residue.push(...more.map((one) => ({ ...(one as JsonObject), kind: 'left_by_lent_role', role: plainText(name) })));
    }
    return { ...taken, residue };
  } catch (error) {
    // The next attempt finds nothing to remove, and looks again; what this one found must be told now.
    if (!(error instanceof Refusal)) throw error;
    return { ...taken, gone: false, evidence: { ...taken.evidence, problem: error.message } };
  }
}
