import type { TargetAccess } from '#app/ports/connector.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { collect } from './failure.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';
import type { Tools } from './tools.ts';

/**
 * Rolls back prepared transactions: they hold locks without a session, and would become lasting later. `where` is about
 * `pg_prepared_xacts p` and `$1`. Those of superusers are left alone. Answers how many there were.
 */
export async function rollBackPrepared(session: TargetSession, target: TargetAccess, where: string, value: unknown, tools: Tools, problems: string[]): Promise<number> {
  const open = await session.rows(
    `select p.gid, p.database, p.owner from pg_prepared_xacts p left join pg_roles r on r.rolname = p.owner where not coalesce(r.rolsuper, false) and ${where}`, [value],
  );
  for (const { gid, database, owner } of open) {
    try {
      await using there = await openTarget(target, String(database), tools.timeouts);
      if (!there.superuser) await there.rows(`set role ${quoteIdentifier(String(owner))}`);
      await there.rows(`rollback prepared ${quoteLiteral(String(gid))}`);
    } catch (error) {
      collect(problems)(error);
    }
  }
  return open.length;
}
