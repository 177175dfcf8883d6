import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '#domain/refusal.ts';
import { metAnother, sqlstateOf } from './failure.ts';
import type { TargetSession } from './connect.ts';
import { quoteLiteral } from './identifier.ts';

/**
 * One transaction on the target under two locks of the target's own, held to its end:
 * - one for the account, so that what nodes do to one part comes one after the other;
 * - one for access lists (`acl`), because PostgreSQL fails two concurrent GRANTs on one table with "tuple concurrently
 *   updated" instead of letting the second wait. Others may still meet us there: then it is done again.
 *
 * Anybody who can sign in can take these locks too, for ever: a lock that a stranger holds is passed over. What goes on
 * without it is no less right: removals can be repeated and meet each other, and access lists are done again. Only
 * `making` an account waits for the account's lock and gives up, so that a removal can tell by it (`isBeingMade`).
 *
 * Advisory locks belong to one database: everything about a part runs in its scope's database. They end with the
 * transaction, so that a worker that died or sleeps holds them no longer than `idle_in_transaction_session_timeout`.
 */
export async function changeTarget<T>(session: TargetSession, account: string, acl: boolean, work: () => Promise<T>, making = false): Promise<T> {
  const key = keyOf(account);
  const locks = [`select pg_advisory_xact_lock(${key})${making ? '' : unlessStrange(key)}`];
  if (acl) locks.push(`select pg_advisory_xact_lock(${ACL})${unlessStrange(ACL)}`);
  let begun = false;
  const change = () => undisturbed(() => session.transaction(locks.join('; '), () => ((begun = true), work())));
  return await change().catch((error: unknown) => {
    // A stranger may have come in before us in the queue for the lock. By now he holds it, and is passed over.
    if (begun || making || sqlstateOf(error) !== '55P03') throw error;
    return change();
  });
}

/** Does it again when PostgreSQL found that somebody had changed the same row of a catalogue. */
export async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 5 || !metAnother(error)) throw error;
      await sleep(10 * 2 ** tries);
    }
  }
}

/**
 * Whether a session of Brevet's own role has the account's lock. Whoever makes an account holds it from before the question
 * for the claim until the commit: after a no, an account that can't be seen can't come any more.
 */
export async function isBeingMade(session: TargetSession, account: string): Promise<boolean> {
  const [row] = await session.rows(`select exists (${holders(keyOf(account))} and ${OURS}) as busy`);
  return row?.['busy'] !== false;
}

const keyOf = (account: string) => `hashtextextended(${quoteLiteral(`brevet account ${account}`)}, 0)`;
const ACL = "hashtextextended('brevet acl', 0)";
/** `usesysid` is who signed in: nobody else can be Brevet's role there. A prepared transaction has no session. */
const OURS = 'a.usesysid is not distinct from (select oid from pg_roles where rolname = session_user)';

function holders(key: string): string {
  return `select from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and (l.classid::bigint << 32) | l.objid::bigint = ${key}`;
}

function unlessStrange(key: string): string {
  return ` where not exists (${holders(key)} and not (${OURS}))`;
}

/** Asked right before a change becomes lasting. @throws Refusal `conflict` when another worker has the part now */
export async function confirmClaim(stillMine: () => Promise<boolean>): Promise<void> {
  if (!(await stillMine())) throw new Refusal('conflict', 'another worker has this part now; nothing was changed');
}
