import { setTimeout as sleep } from 'node:timers/promises';
import { brevetWorld } from '#test/worlds/brevet-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded } from '../statistics.ts';
import { crowd } from '../world/crowd.ts';
import { massGrants } from '../world/mass-grants.ts';
import { childrenOf, memoryOf, startServerProcess } from '../world/server-process.ts';
import { standingGrants } from '../world/standing-grants.ts';

const GRANTS = 1_000_000;
const PEOPLE = 200;
const DAY = 86_400;

export const benchmark: Benchmark = {
  title: 'A million active grants: memory and restart',
  about:
    'A million active grants stand in the store (put there by bulk, without accounts on the target), with deadlines spread over a week from tomorrow on; and one with a real role, whose deadline passed while no server ran. Then `bin/brevet server` is started: from the start of its process until a connection of the benchmark, looking every five milliseconds, sees that grant as ended, its role read back as gone. Memory of the server and of its two broker processes is read ten seconds later, PostgreSQL not counted: the proportional figure, and the resident one of the server, which counts pages it shares.',
  async run({ quick, tell }) {
    const count = quick ? GRANTS / 20 : GRANTS;
    await using world = await brevetWorld({ files: (port) => crowd(port, PEOPLE), target: { conf: ['fsync = on'] } });
    const { pool, url } = world.database;
    const [due] = await massGrants(world, 1, ['dev-1'], ['orders-read']);
    if (!due) throw new Error('no grant was made');
    await world.server.stop();
    const from = performance.now();
    await standingGrants(pool, { count, entitlement: 'orders-read', fromSeconds: DAY, overSeconds: 7 * DAY });
    tell(`${count} grants after ${Math.round((performance.now() - from) / 1000)} s`);
    await pool.query('update brevet.grants set deadline = clock_timestamp() where id = $1', [due.id]);

    const began = performance.now();
    const starting = startServerProcess(url, world.data);
    const ended = endOf(() => pool.query<{ ended: boolean }>("select state = 'ended' as ended from brevet.grants where id = $1", [due.id]).then(({ rows }) => rows[0]?.ended === true));
    await using server = await starting;
    const runs = performance.now() - began;
    const removed = (await ended) - began;
    if ((await world.roles()).includes(due.role)) throw new Error('the role of the ended grant still stands');
    await sleep(quick ? 3000 : 10_000);
    const own = await memoryOf(server.pid);
    const brokers = await Promise.all((await childrenOf(server.pid)).map(memoryOf));
    return {
      figures: [
        { what: 'server and brokers, proportional', value: rounded(brokers.reduce((sum, { pss }) => sum + pss, own.pss)), unit: 'MB', aim: { atMost: 600 } },
        { what: 'server alone, resident', value: rounded(own.rss), unit: 'MB' },
        { what: 'process started to the due role removed and read back', value: rounded(removed / 1000), unit: 's', aim: { atMost: 2 } },
        { what: 'process started to "Brevet is running"', value: rounded(runs / 1000), unit: 's' },
      ],
      details: { grants: count, server: own, brokers },
    };
  },
};

/** When `look` first saw it, on this process's monotonic clock. */
async function endOf(look: () => Promise<boolean>): Promise<number> {
  const end = performance.now() + 120_000;
  while (!(await look())) {
    if (performance.now() > end) throw new Error('what was due was not removed within two minutes');
    await sleep(5);
  }
  return performance.now();
}
