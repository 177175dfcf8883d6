/** Loaded before a server by `moved-clock.ts`: hands the processes that it forks the clock of brokers. */
import processes, { type ForkOptions } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

const { fork } = processes;
const { LD_PRELOAD, FAKETIME_CACHE_DURATION, FAKETIME_DONT_FAKE_MONOTONIC, NO_FAKE_STAT, TEST_BROKER_CLOCK } = process.env;
const clock = { LD_PRELOAD, FAKETIME_CACHE_DURATION, FAKETIME_DONT_FAKE_MONOTONIC, NO_FAKE_STAT, FAKETIME_TIMESTAMP_FILE: TEST_BROKER_CLOCK };

Object.assign(processes, {
  fork: (path: string, args: readonly string[], options: ForkOptions) => fork(path, args, { ...options, env: { ...options.env, ...clock } }),
});
syncBuiltinESMExports();
