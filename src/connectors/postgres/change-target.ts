import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '#domain/refusal.ts';
import { metAnother } from './failure.ts';
import type { TargetSession } from './connect.ts';
import { quoteLiteral } from './identifier.ts';

/**
 * One transaction on the target under two locks of the target's own, held to its end:
 * - one for the account, so that provision and withdraw of one part come one after the other, from any node;
 * - one for access lists (`acl`), because PostgreSQL fails two concurrent GRANTs on one table with "tuple concurrently
 *   updated" instead of letting the second wait. Others may still meet us there: then it is done again.
 *
 * Advisory locks belong to one database: everything about a part runs in its scope's database. They end with the
 * transaction, so that a worker that died or sleeps holds them no longer than `idle_in_transaction_session_timeout`.
 */
export async function changeTarget<T>(session: TargetSession, account: string, acl: boolean, work: () => Promise<T>): Promise<T> {
  const locks = lockSql(`brevet account ${account}`) + (acl ? `; ${lockSql('brevet acl')}` : '');
  for (let tries = 1; ; tries++) {
    try {
      return await session.transaction(locks, work);
    } catch (error) {
      if (tries === 5 || !metAnother(error)) throw error;
      await sleep(10 * 2 ** tries);
    }
  }
}

function lockSql(key: string): string {
  return `select pg_advisory_xact_lock(hashtextextended(${quoteLiteral(key)}, 0))`;
}

/** Asked right before a change becomes lasting. @throws Refusal `conflict` when another worker has the part now */
export async function confirmClaim(stillMine: () => Promise<boolean>): Promise<void> {
  if (!(await stillMine())) throw new Refusal('conflict', 'another worker has this part now; nothing was changed');
}
