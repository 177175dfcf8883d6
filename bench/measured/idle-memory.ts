import { setTimeout as sleep } from 'node:timers/promises';
import { testDatabase } from '#test/worlds/database.ts';
import type { Benchmark } from '../benchmark.ts';
import { rounded } from '../statistics.ts';
import { childrenOf, memoryOf, startServerProcess } from '../world/server-process.ts';

export const benchmark: Benchmark = {
  title: 'Memory of an idle server',
  about:
    '`bin/brevet server` with its two broker processes, ten seconds after it says that it runs, on a fresh database, nothing asked of it. PostgreSQL is not counted: the store is an external one. Resident memory counts pages that the processes share (the program Node itself) once for each; the proportional figure shares them out, and is what a machine really has to find.',
  async run({ quick }) {
    await using database = await testDatabase();
    await using server = await startServerProcess(database.url);
    await sleep(quick ? 3000 : 10_000);
    const brokers = await childrenOf(server.pid);
    const own = await memoryOf(server.pid);
    const theirs = await Promise.all(brokers.map(memoryOf));
    const sum = (what: 'rss' | 'pss') => theirs.reduce((total, one) => total + one[what], own[what]);
    return {
      figures: [
        { what: 'server and brokers, resident', value: rounded(sum('rss')), unit: 'MB' },
        { what: 'server and brokers, proportional', value: rounded(sum('pss')), unit: 'MB' },
        { what: 'server alone, resident', value: rounded(own.rss), unit: 'MB' },
        { what: 'one broker process, resident', value: rounded(theirs[0]?.rss ?? Number.NaN), unit: 'MB' },
      ],
      details: { brokers: theirs.length, server: own, each: theirs },
    };
  },
};
