import type { PartPlan, TargetAccess, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { changeTarget } from './change-target.ts';
import { openSomewhere, openTarget, type TargetSession } from './connect.ts';
import { settleEstate } from './estate.ts';
import { sqlstateOf } from './failure.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import { findAccount, isOurs, roleByName, roleByOid, sealOf, type FoundAccount, type Role } from './marker.ts';
import { membershipsOf, revokeMembership } from './memberships.ts';
import { plainText } from './plain-text.ts';
import { changePrivileges, heldPrivileges } from './privileges.ts';
import { parseScope } from './scope.ts';
import { endSessions, type SessionFilter } from './sessions.ts';
import type { Tools } from './tools.ts';

/** Removes the role of an `ephemeral_account` or, with the oid of the account it raises, an elevation; from whatever half state it is in. */
export async function withdrawRole(plan: PartPlan, raised: number | null, tools: Tools): Promise<Withdrawn> {
  const { database } = parseScope(plan.kind, plan.scope);
  await using session = await openSomewhere(plan.target, database, tools.timeouts);
  const find = () => findAccount(session, plan, tools.installation);
  return await remove({ session, target: plan.target, name: plan.objectName, find, raised, tools });
}

/** Removes a role of this Brevet's that no grant knows: by its present name, and only with its mark. */
export async function removeOwned(target: TargetAccess, name: string, tools: Tools): Promise<Withdrawn> {
  await using session = await openTarget(target, null, tools.timeouts);
  const find = async (): Promise<FoundAccount> => {
    const role = await roleByName(session, name);
    return role && isOurs(role, tools.installation) ? { own: role, stranger: null } : { own: null, stranger: role };
  };
  return await remove({ session, target, name, find, raised: null, tools });
}

interface Removal {
  readonly session: TargetSession;
  readonly target: TargetAccess;
  readonly name: string;
  find(): Promise<FoundAccount>;
  /** The account that the role raised, where the plan knows; the mark tells it too, as long as there is one. */
  readonly raised: number | null;
  readonly tools: Tools;
}

/**
 * The order is the point. A PostgreSQL session outlives NOLOGIN, and even the role when it had done SET ROLE; so:
 * 1. no new session, no memberships, nobody raised by it: committed;
 * 2. end every session, and do not go on while one lives (a role dropped under it could not be found again);
 * 3. roll back its prepared transactions, which hold locks and would become lasting later;
 * 4. in every database where it has something: find it, disarm it, hand it over, drop its privileges;
 * 5. drop the role; 6. look again, also for a session that slipped in while signing in.
 * Whatever fails after 1 is reported with `gone: false`, never as success; the next attempt starts over.
 */
async function remove({ session, target, name, find, raised, tools }: Removal): Promise<Withdrawn> {
  const patience = tools.timeouts.sessions;
  const locked = await changeTarget(session, name, false, async () => {
    const found = await find();
    return { ...found, residue: found.own ? await neutralise(session, found.own) : [] };
  });
  const lowered = await sessionsToLower(session, locked.own?.marker?.raises ?? raised);
  if (!locked.own) return nothingThere(session, name, locked.stranger, lowered, patience);
  const role = locked.own;
  const residue: Json[] = [...locked.residue];
  const problems: string[] = await leaveRoles(session, role);
  const sessions = await endAll(session, [{ of: role.oid }, ...lowered], patience);
  const evidence: JsonObject = { account: role.name, oid: role.oid, found: true, sessionsEnded: sessions.seen, loginDisabled: true };
  if (sessions.left > 0) return { gone: false, residue, evidence: { ...evidence, sessionsLeft: sessions.left, problems } };
  const prepared = await rollBackPrepared(session, target, role, tools, problems);
  for (const database of await databasesWith(session, role.oid)) {
    residue.push(...(await settleIn(target, database, name, role, tools, problems)));
  }
  residue.push(...(await dropRole(session, name, role, problems)));
  const late = await endAll(session, [{ of: role.oid }, ...lowered], patience);
  const { left, readAt } = await readAbsence(session, role.oid);
  return {
    gone: late.left === 0 && Object.values(left).every((count) => count === 0), residue,
    evidence: { ...evidence, sessionsEnded: sessions.seen + late.seen, preparedRolledBack: prepared, left: { ...left, sessions: late.left }, problems, readAt },
  };
}

/**
 * The sessions of an account that was raised, those begun until now: the membership is gone, and what begins later never
 * had it. A mark can be written by others, so that nobody's are ended by it whom Brevet would not raise.
 */
async function sessionsToLower(session: TargetSession, raised: number | null): Promise<readonly SessionFilter[]> {
  if (raised === null) return [];
  const account = await roleByOid(session, raised);
  return account?.superuser || account?.self ? [] : [{ of: raised, before: await clock(session) }];
}

async function endAll(session: TargetSession, filters: readonly SessionFilter[], patience: number): Promise<{ seen: number; left: number }> {
  const sum = { seen: 0, left: 0 };
  for (const filter of filters) {
    const { seen, left } = await endSessions(session, filter, patience);
    sum.seen += seen;
    sum.left += left;
  }
  return sum;
}

/** Nobody can sign in as it from here on. Answers what the account did to itself that is worth knowing. */
async function neutralise(session: TargetSession, role: Role): Promise<readonly Json[]> {
  const residue: Json[] = [];
  const quoted = quoteIdentifier(role.name);
  if (session.superuser) {
    const [secret] = await session.rows('select rolpassword from pg_authid where oid = $1', [role.oid]);
    const verifier = secret?.['rolpassword'];
    // Whoever knows the new password could have come in beside the broker.
    if (role.marker?.seal && typeof verifier === 'string' && sealOf(verifier) !== role.marker.seal) residue.push({ kind: 'password_changed', name: plainText(role.name) });
  } else {
    // To end its sessions and hand over its objects without being a superuser, one must be a member of it.
    await session.rows(`grant ${quoted} to current_user${session.version >= 160_000 ? ' with inherit true, set true' : ''}`);
  }
  const raised = role.marker?.raises ? await roleByOid(session, role.marker.raises) : null;
  for (const { member } of await membershipsOf(session, 'in', role.oid)) {
    if (member === session.config.user) continue;
    if (member !== raised?.name) residue.push({ kind: 'membership_given', name: plainText(member) });
    if (role.marker?.raises) await session.rows(`revoke ${quoted} from ${quoteIdentifier(member)} cascade`);
  }
  await session.rows(`alter role ${quoted} with nologin password null connection limit 0 valid until '-infinity'`);
  return residue;
}

/** Best effort, one by one: dropping the role would end its memberships too, if that succeeds. */
async function leaveRoles(session: TargetSession, role: Role): Promise<string[]> {
  const problems: string[] = [];
  for (const { role: of } of await membershipsOf(session, 'of', role.oid)) {
    await revokeMembership(session, of, role.name).catch(collect(problems));
  }
  return problems;
}

async function rollBackPrepared(session: TargetSession, target: TargetAccess, role: Role, tools: Tools, problems: string[]): Promise<number> {
  const open = await session.rows('select gid, database from pg_prepared_xacts where owner = $1', [role.name]);
  for (const row of open) {
    try {
      await using there = await openTarget(target, String(row['database']), tools.timeouts);
      if (!there.superuser) await there.rows(`set role ${quoteIdentifier(role.name)}`);
      await there.rows(`rollback prepared ${quoteLiteral(String(row['gid']))}`);
    } catch (error) {
      collect(problems)(error);
    }
  }
  return open.length;
}

/** The other databases in which the account owns or may do something. */
async function databasesWith(session: TargetSession, oid: number): Promise<readonly string[]> {
  const rows = await session.rows(
    `select distinct d.datname from pg_shdepend s join pg_database d on d.oid = s.dbid
     where s.refclassid = 'pg_authid'::regclass and s.refobjid = $1 and d.datname <> current_database() order by 1`, [oid],
  );
  return rows.map((row) => String(row['datname']));
}

async function settleIn(target: TargetAccess, database: string, name: string, role: Role, tools: Tools, problems: string[]): Promise<readonly Json[]> {
  try {
    await using there = await openTarget(target, database, tools.timeouts);
    const found = await changeTarget(there, name, true, () => settleEstate(there, role)).catch((error: unknown) => {
      collect(problems)(error);
      return revokeAll(there, name, role, problems);
    });
    return found.map((item) => ({ ...(item as JsonObject), database: plainText(database) }));
  } catch (error) {
    collect(problems, `database ${plainText(database)}: `)(error);
    return [];
  }
}

async function dropRole(session: TargetSession, name: string, role: Role, problems: string[]): Promise<readonly Json[]> {
  try {
    return await changeTarget(session, name, true, async () => {
      const residue = await settleEstate(session, role);
      await session.rows(`drop role ${quoteIdentifier(role.name)}`);
      return residue;
    });
  } catch (error) {
    if (error instanceof Refusal && error.code === 'target_unreachable') throw error;
    if (sqlstateOf(error) === '42704') return []; // another worker was faster
    collect(problems)(error);
    return revokeAll(session, name, role, problems);
  }
}

/** When something blocks the removal (a lock on what it owns, a dependent), at least its privileges go now. */
async function revokeAll(session: TargetSession, name: string, role: Role, problems: string[]): Promise<readonly Json[]> {
  const work = async () => changePrivileges(session, 'revoke', await heldPrivileges(session, role.oid), role.name);
  await changeTarget(session, name, true, work).catch(collect(problems, 'its privileges: '));
  return [];
}

async function nothingThere(session: TargetSession, name: string, stranger: Role | null, lowered: readonly SessionFilter[], patience: number): Promise<Withdrawn> {
  // An administrator who dropped the role did not end its sessions, and nothing else tells any more whose they were.
  const orphans = await endAll(session, [{ of: 'nobody' }, ...lowered], patience);
  const evidence = { account: plainText(name), found: false, sessionsOfDroppedRoles: orphans.seen, sessionsLeft: orphans.left, readAt: await clock(session) };
  if (!stranger) return { gone: orphans.left === 0, residue: [], evidence };
  const residue = [{ kind: 'unmarked_role', name: plainText(stranger.name), hint: 'It does not bear Brevet\'s mark, so it was left alone. Rename or drop it.' }];
  return { gone: false, residue, evidence: { ...evidence, unmarkedRole: true } };
}

/** Everything in the shared catalogues that could still point at the account; all zero when it is gone. */
async function readAbsence(session: TargetSession, oid: number): Promise<{ left: Readonly<Record<string, number>>; readAt: string }> {
  const [row] = await session.rows(
    `select clock_timestamp()::text as at, (select count(*) from pg_roles where oid = $1)::int as roles,
       (select count(*) from pg_auth_members where member = $1 or roleid = $1)::int as memberships,
       (select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid = $1)::int as dependencies`, [oid],
  );
  const left = { roles: Number(row?.['roles']), memberships: Number(row?.['memberships']), dependencies: Number(row?.['dependencies']) };
  return { left, readAt: String(row?.['at']) };
}

export async function clock(session: TargetSession): Promise<string> {
  const [row] = await session.rows('select clock_timestamp()::text as at');
  return String(row?.['at']);
}

/** Keeps a refusal as a line of evidence. What tells that the target went away, or a defect of ours, goes on up. */
function collect(problems: string[], where = ''): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Refusal) || error.code === 'target_unreachable') throw error;
    problems.push(where + error.message);
  };
}
