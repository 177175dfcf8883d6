import { setTimeout as sleep } from 'node:timers/promises';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';
import { databaseClockOffset, wallClock } from '../world/clock.ts';
import { crowd } from '../world/crowd.ts';
import { observeEnds } from '../world/end-observer.ts';
import { staggeredGrants } from '../world/staggered-grants.ts';

export const benchmark: Benchmark = {
  title: 'Deadline to privilege verified gone',
  about:
    'Two hundred grants on one reachable PostgreSQL target, each with a role of its own, whose deadlines come one after another over twenty seconds. Measured is from the deadline to the instant, both by the database\'s clock, at which an observer outside first sees the log entry that the grant has ended with its removal verified. The observer then looks on the target itself, as superuser: a role that still stands there is counted as a lie.',
  async run({ quick, tell }) {
    const count = quick ? 24 : 200;
    const people = quick ? 2 : 8;
    await using world = await brevetWorld({ brokers: 1, connections: 20, files: (port) => crowd(port, people), target: { conf: ['fsync = on'] } });
    const roles = new Map<string, string>();
    const observer = await observeEnds(world.database.url, [{ url: world.target.url() }], (grant) => roles.get(grant));
    try {
      tell(`making ${count} grants`);
      const grants = await staggeredGrants(world, { count, people, leadSeconds: 2 + count * 0.12, overSeconds: quick ? 4 : 20 }, ({ id, role }) => roles.set(id, role));
      tell('waiting for the deadlines');
      const offset = await databaseClockOffset(world.database.pool);
      const last = Math.max(...grants.map(({ deadline }) => deadline));
      while (observer.ended.size < count && wallClock() + offset < last + 60_000) await sleep(50);
      const took = grants.map(({ id, deadline }) => (observer.ended.get(id) ?? Infinity) - deadline);
      const { p50, p99, max } = spread(took);
      return {
        figures: [
          { what: 'p50', value: p50, unit: 'ms' },
          { what: 'p99', value: p99, unit: 'ms', aim: { atMost: 5000 } },
          { what: 'largest', value: max, unit: 'ms' },
          { what: 'ended by the log, still on the target', value: observer.lies.length, unit: 'roles', aim: { atMost: 0 } },
        ],
        details: { grants: count, clockOffsetMs: rounded(offset) },
      };
    } finally {
      await observer.stop();
    }
  },
};
