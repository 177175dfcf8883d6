import type { Counts } from '#app/ports/entry-table.ts';
import { GRANT_STATES, SESSION_STATES } from '#domain/lifecycle.ts';
import type { Sql } from './sql.ts';

/** By name, not as all but one: PostgreSQL, which knows nothing of their commonness, takes the latter for everything. */
const live = (states: readonly string[]) => `state in (${states.filter((state) => state !== 'ended').map((state) => `'${state}'`).join(', ')})`;
const LIVE = { grant: live(GRANT_STATES), session: live(SESSION_STATES) } as const;

/** Each count runs on a partial index of what is live, of which PostgreSQL can't know that it is short. */
export async function countLive(sql: Sql): Promise<Counts> {
  await sql.run('set local enable_seqscan = off');
  const counts = await countIn(sql);
  await sql.run('set local enable_seqscan = on');
  return counts;
}

async function countIn(sql: Sql): Promise<Counts> {
  const grants = await sql.rows<{ state: keyof Counts['grants']; count: number }>(
    `select state, count(*)::float8 as count from brevet.grants where ${LIVE.grant} group by state`, []);
  const rest = await sql.row<Omit<Counts, 'grants'>>(
    `select (select count(*)::float8 from brevet.grants where overdue_at is not null and ${LIVE.grant}) as overdue,
            (select count(*)::float8 from brevet.sessions where ${LIVE.session}) as sessions,
            (select size::float8 from brevet.log_state) as "logSize",
            (select count(*)::float8 from brevet.targets where unreachable_since is not null and retired_at is null) as "unreachableTargets"`);
  return { grants: Object.fromEntries(grants.map((one) => [one.state, one.count])), ...(rest ?? { overdue: 0, sessions: 0, logSize: 0, unreachableTargets: 0 }) };
}
