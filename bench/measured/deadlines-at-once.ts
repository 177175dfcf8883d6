import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';
import { databaseClockOffset, wallClock } from '../world/clock.ts';
import { crowd } from '../world/crowd.ts';
import { offerLoad } from '../world/offered-load.ts';
import { standingGrants } from '../world/standing-grants.ts';

const GRANTS = 100_000;
const PEOPLE = 200;
const CALLS_PER_SECOND = 20;
/** From the seeding to the first deadline: the seeding itself takes less, and the API is measured idle meanwhile. */
const LEAD_SECONDS = 30;

/** Each a question whose answer, once yes after the last deadline, stays so. A look at the front of an index: it must not weigh on what is measured. */
const OVER = "select not exists (select 1 from brevet.grants where state = 'active' and deadline <= now() order by deadline limit 1) as yes";
const WRITTEN = "select not exists (select 1 from brevet.log_entries where type = 'grant.revoking' and index is null) as yes";

export const benchmark: Benchmark = {
  title: 'A hundred thousand deadlines in one second',
  about:
    'A hundred thousand active grants, put into the store by bulk, fall due within one second on one server. Measured is from the last deadline, by the database\'s clock, as a connection of its own sees it every 50 ms: until none is active any more (each is `revoking`, its removal is due, and no session is let in: state and log entry are one commit, so that this is the claim as well as the local state), and until a signed checkpoint covers the last of these entries. Meanwhile the API is called twenty times a second at fixed instants from a process of its own. Removals on the target go on beside it as ever, but are not waited for: the accounts of these grants were never made, and a hundred thousand real removals take as long as the target takes for them (the benchmark `storm` has two thousand).',
  async run({ quick, tell }) {
    const count = quick ? GRANTS / 10 : GRANTS;
    await using world = await brevetWorld({ brokers: 1, connections: 30, files: (port) => crowd(port, PEOPLE), target: { conf: ['fsync = on'] } });
    const { pool } = world.database;
    using load = await offerLoad(world, CALLS_PER_SECOND);
    const last = await standingGrants(pool, { count, entitlement: 'orders-read', fromSeconds: LEAD_SECONDS, overSeconds: 1 });
    const offset = await databaseClockOffset(pool);
    const sinceLast = () => (wallClock() + offset - last) / 1000;
    if (sinceLast() > -6) throw new Error('the grants were put in too slowly for their deadlines');
    await load.report();
    await sleep(4000);
    const idle = await load.report();
    tell(`${count} grants stand; waiting for their deadlines`);
    await sleep(Math.max(0, (-1 - sinceLast()) * 1000));
    await load.report();
    await sleep(Math.max(0, -sinceLast() * 1000));
    await yes(pool, OVER);
    const over = sinceLast();
    await yes(pool, WRITTEN);
    const written = sinceLast();
    const during = await load.report();
    const { rows } = await pool.query<{ n: number }>("select count(*)::integer as n from brevet.log_entries where type = 'grant.revoking' and index is not null");
    if (rows[0]?.n !== count) throw new Error(`${rows[0]?.n} of ${count} ends stand in the log`);
    const api = spread(during.took);
    return {
      figures: [
        { what: 'last deadline to all over, removals due', value: rounded(over), unit: 's', aim: { atMost: 5 } },
        { what: 'last deadline to all in the log, under a checkpoint', value: rounded(written), unit: 's', aim: { atMost: 30 } },
        { what: 'API p99 meanwhile', value: api.p99, unit: 'ms', aim: { atMost: 500 } },
        { what: 'API p99 before', value: spread(idle.took).p99, unit: 'ms' },
      ],
      details: { grants: count, callsPerSecond: CALLS_PER_SECOND, api, apiFailed: during.failed },
    };
  },
};

async function yes(pool: Pool, question: string): Promise<void> {
  const end = performance.now() + 240_000;
  for (;;) {
    const { rows } = await pool.query<{ yes: boolean }>(question);
    if (rows[0]?.yes) return;
    if (performance.now() > end) throw new Error(`not within four minutes: ${question}`);
    await sleep(50);
  }
}
