import { DatabaseError, type Pool, type PoolClient } from 'pg';
import { Refusal } from '#domain/refusal.ts';
import { isLost } from './refuse.ts';

/**
 * Longest pause between two statements of a transaction, whosever it is: a use case that hangs must not hold locks nor delay
 * others' removals, and a sequencer that sleeps in mid-batch keeps every other from signing checkpoints.
 */
export const IDLE_MS = 4000;

/**
 * Lends a connection of the pool for one transaction; `work` begins and commits it. When it rejects, the transaction is
 * rolled back, and a connection that broke is not given back.
 */
export async function withConnection<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    // Whatever keeps us out (a database closed for maintenance, a changed password): nothing was done, and it may pass.
    throw error instanceof DatabaseError && !isLost(error) ? new Refusal('unavailable', `the store refuses the connection (SQLSTATE ${error.code})`) : error;
  });
  let broken: Error | undefined;
  // A connection may break between two queries; the next query tells, but without a handler the process would end here.
  const onError = (error: Error) => (broken = error);
  client.on('error', onError);
  try {
    return await work(client);
  } catch (error) {
    if (isLost(error)) broken ??= error as Error;
    if (!broken) await client.query('rollback').catch((failed: Error) => (broken = failed));
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}
