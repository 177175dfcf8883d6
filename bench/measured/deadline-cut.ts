import { fork } from 'node:child_process';
import { join } from 'node:path';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';
import { databaseClockOffset, wallClock } from '../world/clock.ts';
import { crowd } from '../world/crowd.ts';
import type { FromHolder, SessionOrder } from '../world/session-holder.ts';
import { staggeredGrants } from '../world/staggered-grants.ts';

/** A session that was open for less than this before its deadline tells of its own start, not of the cut. */
const SETTLED_MS = 500;

export const benchmark: Benchmark = {
  title: 'Deadline to brokered session cut',
  about:
    'Two hundred grants, made by the API and approved by policy, whose deadlines come one after another over twenty seconds; under each a session through two broker processes: idle, in the middle of a statement, or psql in the middle of a statement. Measured is from the deadline, by the database\'s clock, to the instant at which the client, in a process of its own, hears that its session is over (psql: at which the program has ended). Includes the message that says why.',
  async run({ quick, tell }) {
    const count = quick ? 24 : 200;
    const people = quick ? 2 : 8;
    await using world = await brevetWorld({ brokers: 2, connections: 20, files: (port) => crowd(port, people), target: { conf: ['fsync = on', 'max_connections = 400'] } });
    const holder = fork(join(import.meta.dirname, '../world/session-holder.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const envs = new Map(await Promise.all(Array.from({ length: people }, async (_, n) => [`dev-${n + 1}`, await world.clientEnv(`dev-${n + 1}`)] as [string, Readonly<Record<string, string>>])));
      const deadlines = new Map<string, number>();
      const opened = new Map<string, number>();
      const cuts = new Map<string, { at: number; said: string }>();
      holder.on('message', (raw) => {
        const message = raw as FromHolder;
        if ('open' in message) opened.set(message.open, message.at);
        else cuts.set(message.cut, message);
      });
      const kinds = new Map<string, SessionOrder['kind']>();
      tell(`making ${count} grants`);
      await staggeredGrants(world, { count, people, leadSeconds: 4 + count * 0.15, overSeconds: quick ? 4 : 20 }, ({ id, person, deadline }) => {
        const kind = (['idle', 'busy', 'idle', 'busy', 'psql'] as const)[deadlines.size % 5] ?? 'idle';
        deadlines.set(id, deadline);
        kinds.set(id, kind);
        holder.send({ key: id, kind, env: { ...envs.get(person), PGOPTIONS: `-c brevet.grant=${id}` } } satisfies SessionOrder);
      });
      const offset = await databaseClockOffset(world.database.pool);
      const last = Math.max(...deadlines.values());
      tell('waiting for the deadlines');
      while (cuts.size < count && wallClock() + offset < last + 10_000) await new Promise((resolve) => setTimeout(resolve, 50));

      const settled = [...deadlines].filter(([id, deadline]) => (opened.get(id) ?? Infinity) + offset < deadline - SETTLED_MS);
      const late = settled.map(([id, deadline]) => (cuts.get(id)?.at ?? Infinity) + offset - deadline);
      const all = spread(late);
      const early = late.filter((ms) => ms < 0).length;
      const told = settled.filter(([id]) => cuts.get(id)?.said.includes('the granted time is over')).length;
      return {
        figures: [
          { what: 'p50', value: all.p50, unit: 'ms', aim: { atMost: 250 } },
          { what: 'p99', value: all.p99, unit: 'ms', aim: { atMost: 1000 } },
          { what: 'largest', value: all.max, unit: 'ms' },
          { what: 'sessions not cut within 10 s', value: settled.length - settled.filter(([id]) => cuts.has(id)).length, unit: 'sessions', aim: { atMost: 0 } },
        ],
        details: {
          sessions: settled.length, leftOut: count - settled.length, cutBeforeTheDeadline: early, toldWhy: told, clockOffsetMs: rounded(offset),
          byKind: Object.fromEntries((['idle', 'busy', 'psql'] as const).map((kind) => [kind, spread(late.filter((_, n) => kinds.get(settled[n]?.[0] ?? '') === kind))])),
        },
      };
    } finally {
      holder.kill();
    }
  },
};
