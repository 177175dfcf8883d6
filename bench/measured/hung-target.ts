import { brevetWorld } from '#test/worlds/brevet-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import type { Benchmark } from '../benchmark.ts';
import { median, rounded } from '../statistics.ts';
import { crowd } from '../world/crowd.ts';
import { addTargets } from '../world/more-targets.ts';
import { offerLoad } from '../world/offered-load.ts';
import { PEOPLE, storm } from '../world/storm.ts';

const TARGETS = 5;
const LAST = TARGETS - 1;
/** Far from what two cores can remove in a second: else the hung target would leave the others more of the machine. */
const DEADLINES_PER_SECOND = 8;
const DURABLE = { conf: ['fsync = on'] };

export const benchmark: Benchmark = {
  title: 'One of five targets hangs',
  about:
    'Grants on five PostgreSQL servers, their roles really there, fall due at random, eight in a second over all. In every second round all processes of the fifth server are frozen before the first deadline: its kernel accepts connections, and nothing answers. Measured is from deadline to the verified end that an observer outside sees in the log, for the grants on the other four only, in both kinds of round; the rounds take turns within one run, and the ratio is that of the medians of their p99.',
  async run({ quick, tell }) {
    const seconds = quick ? 5 : 20;
    const rounds = quick ? 1 : 3;
    await using world = await brevetWorld({ brokers: 1, connections: 30, files: (port) => crowd(port, PEOPLE), target: DURABLE });
    await using more = new AsyncDisposableStack();
    const others: TestServer[] = [];
    while (others.length < LAST) others.push(more.use(await startTestServer(DURABLE)));
    await addTargets(world, others, PEOPLE);
    using load = await offerLoad(world, 1);
    const entitlements = ['orders-read', ...others.map((_, n) => `orders-read-${n + 2}`)];
    const round = (name: string, frozen: number | null) =>
      storm(world, load, tell, { name, count: seconds * DEADLINES_PER_SECOND, entitlements, servers: [world.target, ...others], frozen, leaveOut: LAST, overSeconds: seconds });
    const [without, beside] = [[], []] as [number[], number[]];
    for (let n = 0; n < rounds; n++) {
      without.push((await round('all answer', null)).late.p99);
      beside.push((await round('one hangs', LAST)).late.p99);
    }
    return {
      figures: [
        { what: 'the other four, p99: all answer', value: rounded(median(without)), unit: 'ms' },
        { what: 'the other four, p99: one hangs', value: rounded(median(beside)), unit: 'ms' },
        { what: 'one hangs, to all answer', value: Number((median(beside) / median(without)).toFixed(2)), unit: 'ratio', aim: { atMost: 1.2 } },
      ],
      details: { targets: TARGETS, seconds, deadlinesPerSecond: DEADLINES_PER_SECOND, p99OfRounds: { allAnswer: without, oneHangs: beside } },
    };
  },
};
