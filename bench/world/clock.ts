import type { Pool } from 'pg';

/** How far the database's clock is ahead of this process's, in milliseconds: of twenty answers, the quickest. */
export async function databaseClockOffset(pool: Pool): Promise<number> {
  let best = { took: Infinity, offset: 0 };
  for (let n = 0; n < 20; n++) {
    const before = wallClock();
    const { rows } = await pool.query<{ ms: number }>('select extract(epoch from clock_timestamp())::float8 * 1000 as ms');
    const after = wallClock();
    if (after - before < best.took) best = { took: after - before, offset: (rows[0]?.ms ?? 0) - (before + after) / 2 };
  }
  return best.offset;
}

/** The wall clock with fractions of a millisecond, which Date.now() does not tell. */
export const wallClock = (): number => performance.timeOrigin + performance.now();
