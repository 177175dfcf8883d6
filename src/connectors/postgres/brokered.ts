import { z } from 'zod';
import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { roleByName } from './marker.ts';
import { plainText } from './plain-text.ts';
import { parseScope } from './scope.ts';
import { checkMayEnd, endSessions } from './sessions.ts';
import type { Tools } from './tools.ts';
import { clock } from './withdraw.ts';

/** What brokers noted of their connections; `backendStart` is `pg_stat_activity.backend_start` as text, when they know it. */
const RECORDED = z.looseObject({
  backends: z.array(z.looseObject({ pid: z.int().positive().optional(), backendStart: z.string().max(40).optional() })).max(10_000).default([]),
});

/** Nothing changes on the target. Checks that the stored account exists, may sign in, and is no superuser. */
export async function provisionBrokered(plan: PartPlan, tools: Tools): Promise<Provisioned> {
  const { database } = parseScope('brokered_session', plan.scope);
  await using session = await openTarget(plan.target, database, tools.timeouts);
  return { secret: null, evidence: { ...(await readStored(session, plan)), readAt: await clock(session) } };
}

async function readStored(session: TargetSession, plan: PartPlan): Promise<JsonObject> {
  if (plan.account === null) throw new Refusal('invalid_input', 'a brokered session names the stored account', { field: '/account' });
  const role = await roleByName(session, plan.account);
  const [more] = await session.rows('select rolcanlogin, rolcreaterole or rolreplication or rolbypassrls as powerful from pg_roles where rolname = $1', [plan.account]);
  if (!role || more?.['rolcanlogin'] !== true) throw new Refusal('target_refused', `${plainText(plan.account)} does not exist on the target, or may not sign in`);
  if (role.superuser || role.self || more['powerful'] !== false) {
    throw new Refusal('dangerous_scope', 'the stored account is a superuser, an administrator of roles, or Brevet\'s own', { field: '/account' });
  }
  await checkMayEnd(session, role.oid);
  return { account: plainText(role.name), oid: role.oid, changed: false };
}

/** Ends the backends that were recorded (`plan.prior.backends`), and no other session of the account. */
export async function withdrawBrokered(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  const recorded = RECORDED.safeParse(plan.prior ?? {});
  if (!recorded.success) throw new Refusal('invalid_input', 'the recorded backends are unreadable', { field: '/prior/backends' });
  await using session = await openTarget(plan.target, null, tools.timeouts);
  const account = plan.account === null ? null : await roleByName(session, plan.account);
  let ended = 0;
  let left = 0;
  for (const { pid, backendStart } of account ? recorded.data.backends : []) {
    if (pid === undefined || !account) continue;
    const result = await endSessions(session, { of: account.oid, pid, start: backendStart ?? null }, tools.timeouts.sessions);
    ended += result.seen;
    left += result.left;
  }
  const evidence = { recorded: recorded.data.backends.length, accountFound: account !== null, sessionsEnded: ended, sessionsLeft: left };
  return { gone: left === 0, residue: [], evidence: { ...evidence, readAt: await clock(session) } };
}
