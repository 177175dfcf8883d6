import type { Counts } from '#app/ports/entry-table.ts';
import type { Sql } from './sql.ts';

/** Each count runs on a partial index of what is live. */
export async function countLive(sql: Sql): Promise<Counts> {
  const grants = await sql.rows<{ state: keyof Counts['grants']; count: number }>(
    `select state, count(*)::float8 as count from brevet.grants where state <> 'ended' group by state`, []);
  const rest = await sql.row<Omit<Counts, 'grants'>>(
    `select (select count(*)::float8 from brevet.grants where overdue_at is not null and state <> 'ended') as overdue,
            (select count(*)::float8 from brevet.sessions where state <> 'ended') as sessions,
            (select size::float8 from brevet.log_state) as "logSize",
            (select count(*)::float8 from brevet.targets where unreachable_since is not null and retired_at is null) as "unreachableTargets"`);
  return { grants: Object.fromEntries(grants.map((one) => [one.state, one.count])), ...(rest ?? { overdue: 0, sessions: 0, logSize: 0, unreachableTargets: 0 }) };
}
