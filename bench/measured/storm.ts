import { setTimeout as sleep } from 'node:timers/promises';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import type { Benchmark, Figure } from '../benchmark.ts';
import { rounded, spread } from '../statistics.ts';
import { crowd } from '../world/crowd.ts';
import { addTargets } from '../world/more-targets.ts';
import { offerLoad } from '../world/offered-load.ts';
import { PEOPLE, storm, type Storm } from '../world/storm.ts';

const CALLS_PER_SECOND = 20;
const DURABLE = { conf: ['fsync = on'] };

export const benchmark: Benchmark = {
  title: 'Two thousand deadlines in one second',
  about:
    'Two thousand grants, whose roles really stand on their targets, fall due within one second: all on one PostgreSQL server; spread over five; and spread over five of which one is frozen. Measured is from each deadline to the verified end that an observer outside sees in the log, by the database\'s clock; how long after the last deadline all are verified; and meanwhile the latency of the API, called twenty times a second at fixed instants from a process of its own. With one target frozen only the others\' grants count. All servers share the machine with Brevet, and write every commit to the disk.',
  async run({ quick, tell }) {
    const count = quick ? 100 : 2000;
    await using world = await brevetWorld({ brokers: 1, connections: 30, files: (port) => crowd(port, PEOPLE), target: DURABLE });
    await using more = new AsyncDisposableStack();
    const others: TestServer[] = [];
    for (let n = 2; n <= 5; n++) others.push(more.use(await startTestServer(DURABLE)));
    await addTargets(world, others, PEOPLE);
    using load = await offerLoad(world, CALLS_PER_SECOND);

    const five = ['orders-read', ...others.map((_, n) => `orders-read-${n + 2}`)];
    const all = [world.target, ...others];
    // The first calls load what later ones find loaded.
    await sleep(2000);
    await load.report();
    await sleep(quick ? 2000 : 10_000);
    const idle = await load.report();
    const one = await storm(world, load, tell, { name: 'one target', count, entitlements: ['orders-read'], servers: [world.target], frozen: null });
    const spreadOut = await storm(world, load, tell, { name: 'five targets', count, entitlements: five, servers: all, frozen: null });
    const hung = await storm(world, load, tell, { name: 'five targets, one frozen', count, entitlements: five, servers: all, frozen: 4 });
    return {
      figures: [
        ...figuresOf('one target', one), ...figuresOf('five targets', spreadOut), ...figuresOf('five targets, one frozen', hung),
        { what: 'p99 of the four beside a frozen one, to that of five', value: Number((hung.late.p99 / spreadOut.late.p99).toFixed(2)), unit: 'ratio', aim: { atMost: 1.2 } },
        { what: 'API p99 before', value: spread(idle.took).p99, unit: 'ms' },
      ],
      details: { count, one, five: spreadOut, hung, callsPerSecond: CALLS_PER_SECOND },
    };
  },
};

function figuresOf(name: string, { allSeconds, late, api, lies }: Storm): Figure[] {
  return [
    { what: `${name}: all verified after the last deadline`, value: allSeconds, unit: 's' },
    { what: `${name}: deadline to verified, p99`, value: rounded(late.p99 / 1000), unit: 's' },
    { what: `${name}: API p99 meanwhile`, value: api.p99, unit: 'ms', aim: { atMost: 500 } },
    ...(lies > 0 ? [{ what: `${name}: ended by the log, still on the target`, value: lies, unit: 'roles', aim: { atMost: 0 } }] : []),
  ];
}
