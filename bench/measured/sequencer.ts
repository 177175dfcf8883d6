import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '#app/ports/store.ts';
import type { LogEvent } from '#domain/log-event.ts';
import type { PrincipalId } from '#domain/id.ts';
import { runSequencer, sqlRoll } from '#store/sequencer.ts';
import { lifeOfGrant } from '#test/worlds/log-world.ts';
import { logTree, postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { monotonic } from '#test/worlds/store-world.ts';
import type { Benchmark } from '../benchmark.ts';
import { spread } from '../statistics.ts';

const PER_TRANSACTION = 100;

export const benchmark: Benchmark = {
  title: 'Log on the store',
  about:
    'The sequencer on a durable PostgreSQL: numbers, leaf hashes, tiles and a signed checkpoint for each batch, one transaction each. First how fast it takes a backlog of a hundred thousand entries; then, with 5,000 entries a second arriving for a minute at fixed instants whatever happens (a hundred in each transaction), how long after the commit of an entry a checkpoint covers it. Writer and sequencer share one thread, as they do in a server.',
  async run({ quick, tell }) {
    const backlog = quick ? 10_000 : 100_000;
    const seconds = quick ? 4 : 60;
    await using world = await postgresStoreWorld();
    tell(`writing ${backlog} entries`);
    const events = eventsForever();
    for (let n = 0; n < backlog; n += 500) await write(world.store, events, 500);
    const began = performance.now();
    await world.sequence();
    const drained = backlog / ((performance.now() - began) / 1000);

    tell('5,000 entries a second');
    const stop = new AbortController();
    const sequencing = runSequencer({ ...world.options, roll: sqlRoll(world.options.pool), store: world.store, tree: logTree, sign: world.sign }, stop.signal);
    const { lags, written } = await sustained(world.store, events, backlog, seconds);
    stop.abort();
    await sequencing;
    const lag = spread(lags);
    return {
      figures: [
        { what: 'a backlog is taken at', value: Math.round(drained), unit: '/s', aim: { atLeast: 5000 } },
        { what: 'entries written a second, of 5,000 offered', value: Math.round(written), unit: '/s', aim: { atLeast: 4950 } },
        { what: 'commit to checkpoint at that rate, p50', value: lag.p50, unit: 'ms' },
        { what: 'commit to checkpoint at that rate, p99', value: lag.p99, unit: 'ms', aim: { atMost: 1000 } },
      ],
      details: { backlog, seconds, transactions: lag.n, largestLagMs: lag.max },
    };
  },
};

function* eventsForever(): Generator<LogEvent> {
  for (let n = 0; ; n++) {
    for (const { type, data, actor } of lifeOfGrant(n)) yield { type, data, actor: actor as PrincipalId | 'system' };
  }
}

async function write(store: Store, events: Generator<LogEvent>, count: number): Promise<void> {
  await store.transaction(async (tx) => {
    for (let n = 0; n < count; n++) await tx.log(events.next().value as LogEvent);
  });
}

/** Offers 50 transactions a second, and looks every 10 ms how far the newest checkpoint reaches. */
async function sustained(store: Store, events: Generator<LogEvent>, size: number, seconds: number): Promise<{ lags: number[]; written: number }> {
  const total = (seconds * 5000) / PER_TRANSACTION;
  const commits: number[] = [];
  const lags: number[] = [];
  const began = performance.now();
  const looking = (async () => {
    while (lags.length < total && performance.now() - began < (seconds + 30) * 1000) {
      const head = await store.transaction((tx) => tx.entries.head());
      // A checkpoint over n transactions' entries covers at least the n that committed first but for the ones under way.
      const covered = Math.floor((head.size - size) / PER_TRANSACTION);
      const now = performance.now();
      while (lags.length < Math.min(covered, commits.length)) lags.push(now - (commits[lags.length] as number));
      await sleep(10);
    }
  })();
  const running: Promise<void>[] = [];
  for (let n = 0; n < total; n++) {
    const due = began + n * (PER_TRANSACTION / 5);
    if (performance.now() < due) await monotonic.sleep(due - performance.now());
    running.push(write(store, events, PER_TRANSACTION).then(() => void commits.push(performance.now())));
  }
  await Promise.all(running);
  const written = (total * PER_TRANSACTION) / ((performance.now() - began) / 1000);
  await looking;
  return { lags, written };
}
