import { setTimeout as sleep } from 'node:timers/promises';
import type { PartPlan } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { openSomewhere, openTarget, type TargetSession } from './connect.ts';
import { metAnother, sqlstateOf } from './failure.ts';
import { quoteLiteral } from './identifier.ts';
import type { Role } from './marker.ts';
import { parseScope } from './scope.ts';
import { endSessions } from './sessions.ts';
import type { Tools } from './tools.ts';

/**
 * Changes a stored account by one `ALTER ROLE`, a transaction of its own: one that fails takes no other with it. Under no
 * lock of Brevet's, because anybody who signs in to the target could hold that; and two removals that meet do the same.
 *
 * What can stand in the way is the account itself: its own `ALTER ROLE`, not yet committed, holds the row (B10). So at
 * the second try whoever of it has changed a role and not finished is ended, by another connection, *while* this one
 * waits in the server's queue: between an end and our turn nobody can slip in.
 */
export async function changeAccount(session: TargetSession, plan: PartPlan, account: Role, sql: string, tools: Tools): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await (tries === 1 ? session.rows(sql) : pastItsOwn(session, plan, account, sql, tools));
      return;
    } catch (error) {
      if (tries === 4 || !(metAnother(error) || sqlstateOf(error) === '55P03')) throw error;
    }
  }
}

async function pastItsOwn(session: TargetSession, plan: PartPlan, account: Role, sql: string, tools: Tools): Promise<void> {
  await using second = await openSomewhere(plan.target, parseScope(plan.kind, plan.scope).database, tools.timeouts);
  await rollBackPrepared(second, plan, account, tools);
  const done = new AbortController();
  const changed = session.rows(sql).finally(() => done.abort());
  const [outcome, helped] = await Promise.allSettled([changed, endUntil(done.signal, second, account)]);
  if (outcome.status === 'rejected') throw outcome.reason;
  if (helped.status === 'rejected' && !(helped.reason instanceof Refusal)) throw helped.reason;
}

async function endUntil(done: AbortSignal, session: TargetSession, account: Role): Promise<void> {
  while (!done.aborted) {
    await endSessions(session, { of: account.oid, changingRoles: true }, 0);
    await sleep(10);
  }
}

/** A prepared transaction holds the row without a session. Where Brevet may not end it, the wait that follows tells. */
async function rollBackPrepared(session: TargetSession, plan: PartPlan, account: Role, tools: Tools): Promise<void> {
  const held = await session.rows(
    `select distinct x.gid, x.database, x.owner from pg_prepared_xacts x
     join pg_locks t on t.locktype = 'transactionid' and t.transactionid = x.transaction and t.pid is null
     join pg_locks l on l.virtualtransaction = t.virtualtransaction and l.pid is null
     where l.database = 0 and l.relation in ('pg_authid'::regclass, 'pg_db_role_setting'::regclass) and pg_has_role($1::oid, x.owner, 'member')`, [account.oid],
  );
  for (const row of held) {
    try {
      await using there = await openTarget(plan.target, String(row['database']), tools.timeouts);
      if (!there.superuser) await there.rows("select set_config('role', $1, false)", [row['owner']]);
      await there.rows(`rollback prepared ${quoteLiteral(String(row['gid']))}`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}
