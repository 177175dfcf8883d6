import { setTimeout as sleep } from 'node:timers/promises';
import type { TargetAccess } from '#app/ports/connector.ts';
import type { Json } from '#domain/json.ts';
import { actingAs } from './acting-as.ts';
import { undisturbed } from './change-target.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { collect, sqlstateOf } from './failure.ts';
import { quoteIdentifier } from './identifier.ts';
import { roleByOid, sealOf, type Role } from './marker.ts';
import { membershipsOf } from './memberships.ts';
import { plainText } from '../plain-text.ts';
import { rollBackPrepared } from './prepared.ts';
import { endSessions, MAY_END } from './sessions.ts';
import type { Tools } from './tools.ts';

export interface CutOff {
  /** Read back: nobody can sign in as the role, and none of the sessions lives. */
  readonly closed: boolean;
  /** Whose sessions must be looked for again when the role is dropped; with everybody who acts as it while it has members. */
  readonly again: ReadonlySet<number>;
  readonly seen: number;
  readonly left: number;
  /** Prepared transactions that were rolled back. */
  readonly prepared: number;
  /** What the account did to itself that is worth knowing. */
  readonly residue: readonly Json[];
  readonly problems: readonly string[];
}

const ROUNDS = 4;

/**
 * Nobody acts as the role from here on: neither those who signed in as it, nor the account that it raises, nor who became
 * a member of one of them. Each of these can hold the rows of the catalogue that have to change, by `alter role
 * current_user ...` in a transaction left open, even a prepared one. So sessions end first, which waits for nothing;
 * then each change is a short transaction of its own; then sessions end again, those that came in between. What is still
 * in the way of a change is found by a second connection while the change waits, and ended too.
 */
export async function cutOff(session: TargetSession, target: TargetAccess, role: Role, raised: number | null, tools: Tools): Promise<CutOff> {
  const residue = [...(await ownPassword(session, role)), ...(await givenAway(session, role))];
  const acting = new Set([role.oid]);
  const sum = { seen: 0, prepared: 0 };
  for (let round = 1; ; round++) {
    const problems: string[] = [];
    if (!session.superuser) await change(session, target, joinSql(session, role), round, problems, tools);
    for (const { oid } of await actingAs(session, [role.oid, ...(raised === null ? [] : [raised])])) acting.add(oid);
    const first = await endThose(session, acting, tools.timeouts.sessions / 10);
    sum.prepared += await rollBackPrepared(session, target, 'p.owner = $1', role.name, tools, problems);
    for (const { member } of await membershipsOf(session, 'in', role.oid)) {
      if (member === session.config.user) continue;
      await change(session, target, `revoke ${quoteIdentifier(role.name)} from ${quoteIdentifier(member)} cascade`, round, problems, tools);
    }
    await change(session, target, `alter role ${quoteIdentifier(role.name)} with nologin password null connection limit 0 valid until '-infinity'`, round, problems, tools);
    const then = await endThose(session, acting, tools.timeouts.sessions);
    sum.seen += first.seen - first.left + then.seen;
    const { open, members } = await readBack(session, role);
    const closed = then.left === 0 && !open;
    // What could not be changed may be undone by dropping the role: that goes on all the same once it is closed.
    if ((closed && !members && problems.length === 0) || round === ROUNDS) return { ...sum, closed, again: members ? acting : new Set([role.oid]), left: then.left, residue, problems };
    await sleep(50 * round);
  }
}

/**
 * The sessions begun until now: the membership is gone, and what begins later never had it. A mark can be written by others,
 * so that nobody's are ended by it whom Brevet would not raise.
 */
export async function endThose(session: TargetSession, oids: Iterable<number>, patience: number): Promise<{ seen: number; left: number }> {
  const [row] = await session.rows('select clock_timestamp()::text as at');
  return await endSessions(session, { ofAny: [...oids], before: String(row?.['at']) }, patience);
}

/** To end its sessions and hand over its objects without being a superuser, one must be a member of it. */
function joinSql(session: TargetSession, role: Role): string {
  return `grant ${quoteIdentifier(role.name)} to current_user${session.version >= 160_000 ? ' with inherit true, set true' : ''}`;
}

/** One statement that waits briefly, from the second round on with somebody who clears the way. */
async function change(session: TargetSession, target: TargetAccess, sql: string, round: number, problems: string[], tools: Tools): Promise<void> {
  const [me] = await session.rows('select pg_backend_pid() as pid');
  const timeout = `set local lock_timeout = ${Math.ceil(tools.timeouts.lock / 4)}`;
  const work = undisturbed(() => session.transaction(timeout, () => session.rows(sql))).catch((error: unknown) => {
    if (sqlstateOf(error) !== '42704') collect(problems)(error); // else another worker was faster
  });
  if (round > 1) await clearTheWay(session, target, Number(me?.['pid']), work, problems, tools).catch(collect(problems));
  await work;
}

/**
 * Ends who holds what the backend `waiting` waits for, until `work` is over. Not superusers, and not who may create roles: what those do
 * to the role is administration.
 */
async function clearTheWay(session: TargetSession, target: TargetAccess, waiting: number, work: Promise<unknown>, problems: string[], tools: Tools): Promise<void> {
  const over = work.then(() => true, () => true);
  await using beside = await openTarget(target, session.config.database, tools.timeouts);
  while (!(await Promise.race([over, sleep(20, false)]))) {
    await beside.rows(
      `select case when ${MAY_END} then pg_terminate_backend(a.pid) end
       from unnest(pg_blocking_pids($1)) pid join pg_stat_activity a using (pid) left join pg_roles r on r.oid = a.usesysid
       where a.usesysid is not null and r.rolname is distinct from current_user and not coalesce(r.rolsuper or r.rolcreaterole, false)`, [waiting],
    );
    await rollBackPrepared(beside, target, 'p.transaction in (select l.transactionid from pg_locks l where l.pid = $1 and not l.granted)', waiting, tools, problems);
  }
}

/** Whoever knows the new password could have come in beside the broker. */
async function ownPassword(session: TargetSession, role: Role): Promise<Json[]> {
  if (!session.superuser || !role.marker?.seal) return [];
  const [secret] = await session.rows('select rolpassword from pg_authid where oid = $1', [role.oid]);
  const verifier = secret?.['rolpassword'];
  return typeof verifier === 'string' && sealOf(verifier) !== role.marker.seal ? [{ kind: 'password_changed', name: plainText(role.name) }] : [];
}

async function givenAway(session: TargetSession, role: Role): Promise<Json[]> {
  const raised = role.marker?.raises ? await roleByOid(session, role.marker.raises) : null;
  const members = (await membershipsOf(session, 'in', role.oid)).map(({ member }) => member);
  const others = members.filter((member) => member !== session.config.user && member !== raised?.name);
  return [...new Set(others)].map((member) => ({ kind: 'membership_given', name: plainText(member) }));
}

async function readBack(session: TargetSession, role: Role): Promise<{ open: boolean; members: boolean }> {
  const [row] = await session.rows(
    `select exists (select from pg_roles where oid = $1 and (rolcanlogin or rolconnlimit <> 0)) as open,
       exists (select from pg_auth_members m join pg_roles r on r.oid = m.member where m.roleid = $1 and r.rolname <> current_user) as members`, [role.oid],
  );
  return { open: row?.['open'] !== false, members: row?.['members'] !== false };
}
