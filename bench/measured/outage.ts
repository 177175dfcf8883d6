import { setTimeout as sleep } from 'node:timers/promises';
import { brevetWorld, type BrevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { spread } from '../statistics.ts';
import { databaseClockOffset, wallClock } from '../world/clock.ts';
import { crowd } from '../world/crowd.ts';
import { observeEnds, type EndObserver } from '../world/end-observer.ts';
import { staggeredGrants, type HeldGrant } from '../world/staggered-grants.ts';

type Kind = 'down' | 'hung';

export const benchmark: Benchmark = {
  title: 'Target back after an outage to removed',
  about:
    'Grants fall due while their target is away: its server stopped, or all its processes frozen so that connections hang. After the outage, short or long, it comes back. Measured is from the instant at which the target answers again (a sign-in by the benchmark; for a frozen one the instant of its waking) to the instant at which the log holds the verified end of each grant, seen from outside, by the database\'s clock.',
  async run({ quick, tell }) {
    const grants = quick ? 4 : 20;
    const outages: readonly (readonly [Kind, number])[] = quick ? [['down', 4], ['hung', 4]] : [['down', 10], ['hung', 10], ['down', 60], ['hung', 60]];
    await using world = await brevetWorld({ brokers: 1, connections: 20, files: (port) => crowd(port, 2), target: { conf: ['fsync = on'] } });
    const roles = new Map<string, string>();
    const observer = await observeEnds(world.database.url, [{ url: world.target.url() }], (grant) => roles.get(grant));
    const found: Record<Kind, number[]> = { down: [], hung: [] };
    try {
      for (const [kind, seconds] of outages) {
        tell(`target ${kind} for ${seconds} s`);
        const held = await staggeredGrants(world, { count: grants, people: 2, leadSeconds: 3 + grants * 0.15, overSeconds: 1 }, ({ id, role }) => roles.set(id, role));
        found[kind].push(...(await outage(world, observer, held, kind, seconds)));
      }
      const [down, hung] = [spread(found.down), spread(found.hung)];
      const abandoned = [...found.down, ...found.hung].filter((ms) => !Number.isFinite(ms)).length;
      return {
        figures: [
          { what: 'server stopped and started, p50', value: down.p50, unit: 'ms' },
          { what: 'server stopped and started, p99', value: down.p99, unit: 'ms', aim: { atMost: 10_000 } },
          { what: 'server frozen and woken, p50', value: hung.p50, unit: 'ms' },
          { what: 'server frozen and woken, p99', value: hung.p99, unit: 'ms', aim: { atMost: 10_000 } },
          { what: 'not removed a minute later', value: abandoned, unit: 'grants', aim: { atMost: 0 } },
        ],
        details: { outages, grantsEach: grants },
      };
    } finally {
      await observer.stop();
    }
  },
};

/** Milliseconds from the target's return to the verified end of each grant. */
async function outage(world: BrevetWorld, observer: EndObserver, held: readonly HeldGrant[], kind: Kind, seconds: number): Promise<number[]> {
  const offset = await databaseClockOffset(world.database.pool);
  const firstDeadline = Math.min(...held.map(({ deadline }) => deadline));
  const lastDeadline = Math.max(...held.map(({ deadline }) => deadline));
  await sleep(Math.max(0, firstDeadline - (wallClock() + offset) - 1500));
  if (kind === 'down') await world.target.stop();
  else await world.target.pause();
  await sleep(Math.max(0, lastDeadline - (wallClock() + offset)) + seconds * 1000);
  if (kind === 'down') await world.target.start();
  else await world.target.resume();
  const back = wallClock() + offset;
  while (held.some(({ id }) => !observer.ended.has(id)) && wallClock() + offset < back + 60_000) await sleep(20);
  return held.map(({ id }) => (observer.ended.get(id) ?? Infinity) - back);
}
