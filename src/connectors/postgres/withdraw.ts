import { setTimeout as sleep } from 'node:timers/promises';
import type { PartPlan, TargetAccess, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { actingAs } from './acting-as.ts';
import { changeTarget, isBeingMade } from './change-target.ts';
import { openSomewhere, openTarget, type TargetSession } from './connect.ts';
import { cutOff, endThose } from './cut-off.ts';
import { settleEstate } from './estate.ts';
import { collect, sqlstateOf } from './failure.ts';
import { quoteIdentifier } from './identifier.ts';
import { findAccount, isOurs, roleByName, type FoundAccount, type Role } from './marker.ts';
import { membershipsOf, revokeMembership } from './memberships.ts';
import { plainText } from '../plain-text.ts';
import { changePrivileges, heldPrivileges } from './privileges.ts';
import { parseScope } from './scope.ts';
import { endSessions } from './sessions.ts';
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
 * 1. cut off (`cutOff`): sessions end, then nobody can sign in and nobody is raised, then sessions end again; nothing that
 *    the account, whoever acts as it or a stranger holds on the target keeps it up;
 * 2. do not go on while a session lives (a role dropped under it could not be found again);
 * 3. in every database where it has something: find it, disarm it, hand it over, drop its privileges;
 * 4. drop the role; 5. look again, also for a session that slipped in while signing in.
 * Whatever fails after 1 is reported with `gone: false`, never as success; the next attempt starts over.
 */
async function remove({ session, target, name, find, raised, tools }: Removal): Promise<Withdrawn> {
  const patience = tools.timeouts.sessions;
  const { own: role, stranger } = await findSettled(session, name, find, tools);
  if (!role) return await nothingThere(session, name, stranger, raised, patience);
  const cut = await cutOff(session, target, role, role.marker?.raises ?? raised, tools);
  const residue: Json[] = [...cut.residue];
  const problems: string[] = [...cut.problems, ...(await leaveRoles(session, role))];
  const evidence: JsonObject = { account: role.name, oid: role.oid, found: true, sessionsEnded: cut.seen, preparedRolledBack: cut.prepared, loginDisabled: cut.closed || cut.left > 0 };
  if (!cut.closed) {
    await revokeAll(session, name, role, problems);
    return { gone: false, residue, evidence: { ...evidence, sessionsLeft: cut.left, problems } };
  }
  for (const database of await databasesWith(session, role.oid)) {
    residue.push(...(await settleIn(target, database, name, role, tools, problems)));
  }
  residue.push(...(await dropRole(session, name, role, problems)));
  const late = await endThose(session, cut.again, patience);
  const { left, readAt } = await readAbsence(session, role.oid);
  return {
    gone: late.left === 0 && Object.values(left).every((count) => count === 0), residue,
    evidence: { ...evidence, sessionsEnded: cut.seen + late.seen, left: { ...left, sessions: late.left }, problems, readAt },
  };
}

/** An account that another node is making this moment can't be seen before its transaction is committed. */
async function findSettled(session: TargetSession, name: string, find: Removal['find'], tools: Tools): Promise<FoundAccount> {
  for (let waited = 0; ; waited += 20) {
    const busy = await isBeingMade(session, name);
    const found = await find();
    if (found.own || !busy) return found;
    if (waited >= tools.timeouts.lock) throw new Refusal('target_refused', 'another worker is at work on this account on the target; it is tried again');
    await sleep(20);
  }
}

/** Best effort, one by one: dropping the role would end its memberships too, if that succeeds. */
async function leaveRoles(session: TargetSession, role: Role): Promise<string[]> {
  const problems: string[] = [];
  for (const { role: of } of await membershipsOf(session, 'of', role.oid)) {
    await revokeMembership(session, of, role.name).catch(collect(problems));
  }
  return problems;
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

async function nothingThere(session: TargetSession, name: string, stranger: Role | null, raised: number | null, patience: number): Promise<Withdrawn> {
  // An administrator who dropped the role did not end its sessions, and nothing else tells any more whose they were.
  const orphans = await endSessions(session, { of: 'nobody' }, patience);
  const acting = await actingAs(session, raised === null ? [] : [raised]);
  const lowered = await endThose(session, acting.map(({ oid }) => oid), patience);
  const left = orphans.left + lowered.left;
  const evidence = { account: plainText(name), found: false, sessionsOfDroppedRoles: orphans.seen + lowered.seen, sessionsLeft: left, readAt: await clock(session) };
  if (!stranger) return { gone: left === 0, residue: [], evidence };
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
