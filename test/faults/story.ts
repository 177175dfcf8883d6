/** A story: people work while things break, everything is put right, and what is left is compared with what was granted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '#test/worlds/seeded.ts';
import { extended, intervals, latest, leftOver, lost, miscounted, unfinished, unlawful, type Outage } from './checker.ts';
import { breakThings, FAULTS } from './faults.ts';
import { readFacts, standing, type Facts } from './facts.ts';
import { tryPast, work, type Diary } from './people.ts';
import type { FaultWorld, Person } from './world.ts';

export interface Summary {
  readonly seed: number;
  readonly seconds: number;
  /** How often each thing was broken. */
  readonly faults: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
  readonly acknowledged: number;
  readonly grants: number;
  /** That were active at some time. */
  readonly active: number;
  readonly sessions: number;
  /** Statements that targets carried out, and unbroken stretches of them. */
  readonly uses: number;
  readonly intervals: number;
  /** The latest use of a grant's account, in ms after its time was over, of those that nothing disturbed; `null` without any. */
  readonly latestThroughBroker: number | null;
  readonly latestPastBrevet: number | null;
  /** How long everything took to end after the last fault. */
  readonly healedMs: number;
  /** How long the machine stood still in all. */
  readonly standstillMs: number;
  readonly entries: number;
  /** Everything that is wrong, in words. Empty is good. */
  readonly wrong: readonly string[];
}

/** So many places at which people work side by side. */
const LANES_OF_PEOPLE = 6;
const TICK_MS = 20;
const STANDSTILL_MS = 150;
const HEALED_MS = 90_000;

/** `say` hears of each fault. */
export async function tell(world: FaultWorld, { seed, seconds }: { readonly seed: number; readonly seconds: number }, say: (line: string) => void): Promise<Summary> {
  const random = seeded(seed);
  const before = await standing(world);
  const outages: Outage[] = [];
  const struck: Record<string, number> = Object.fromEntries(Object.keys(FAULTS).map((name) => [name, 0]));
  const diary: Diary = { acknowledged: [], sessions: 0, tries: [] };
  const began = performance.now();
  const over = () => performance.now() - began > seconds * 1000;
  const note = {
    struck: (name: string) => {
      struck[name] = (struck[name] ?? 0) + 1;
      say(`${((performance.now() - began) / 1000).toFixed(1)} s: ${name}; ${diary.acknowledged.length} requests, ${diary.sessions} sessions so far`);
    },
    outage: (outage: Outage) => void outages.push(outage),
  };
  const watch = watchMachine(note.outage);
  // Each lane has chances of its own, so that the order in which things happen changes nothing in the next turn.
  const chances = () => seeded(Math.floor(random() * 2 ** 32));
  const lanes = (['nodes', 'surroundings'] as const).map((lane) => breakThings(world, lane, chances(), over, note));
  const workers = Array.from({ length: LANES_OF_PEOPLE }, (_, n) => world.people[n % world.people.length] as Person).map((person) => work(world, person, diary, chances(), over));
  const orders = world.targets.get('orders');
  let finished = false;
  const own = orders ? world.people.map((person) => tryPast(orders, person.name, () => finished)) : [];
  await Promise.all([...lanes, ...workers]);
  const healing = performance.now();
  say(`${(seconds).toFixed(0)} s: everything is put right`);
  const healed = await heal(world);
  const healedMs = Math.round(performance.now() - healing);
  await Promise.all(diary.tries);
  finished = true;
  await Promise.all(own);
  watch.stop();

  const facts = await readFacts(world);
  const left = leftOver(before, await standing(world));
  return {
    seed, seconds, faults: struck, leftOut: world.leftOut, healedMs,
    acknowledged: diary.acknowledged.length, grants: facts.grants.length, active: facts.grants.filter(({ activatedAt }) => activatedAt !== null).length, sessions: diary.sessions,
    uses: facts.uses.length, intervals: intervals(facts.uses).length,
    latestThroughBroker: latest(facts.uses, facts.grants, 'broker', outages), latestPastBrevet: latest(facts.uses, facts.grants, 'direct', outages),
    standstillMs: Math.round(outages.filter(({ what }) => what === 'standstill').reduce((sum, { from, to }) => sum + to - from, 0)),
    entries: facts.entries.length,
    wrong: [...(healed ? [] : [`not everything had ended ${HEALED_MS / 1000} s after everything was put right`]), ...judge(facts, diary, outages), ...left.map((what) => `left over: ${what}`)],
  };
}

function judge(facts: Facts, diary: Diary, outages: readonly Outage[]): string[] {
  const { grants, requests, sessions, entries, uses } = facts;
  return [
    ...unlawful(uses, grants, outages).map((what) => `access outside of a grant: ${what}`),
    ...extended(grants).map((what) => `extended: ${what}`),
    ...lost(diary.acknowledged, requests).map((id) => `acknowledged, and lost: ${id}`),
    ...unfinished(grants).map((what) => `unfinished: ${what}`),
    ...miscounted(grants, sessions, entries).map((what) => `in the log: ${what}`),
    ...facts.findings.map((what) => `the log does not verify: ${what}`),
  ];
}

/** Waits until nothing lives any more and the log has numbered everything; tells whether it came to that. */
async function heal(world: FaultWorld): Promise<boolean> {
  const end = performance.now() + HEALED_MS;
  while (performance.now() < end) {
    await sleep(250);
    const look = (path: string) => world.ask<{ items: unknown[] }>(world.administrator, Math.random(), 'GET', path);
    const [grants, sessions] = [await look('/api/v1/grants?view=all&live=true&limit=1'), await look('/api/v1/sessions?view=all&live=true&limit=1')];
    if (grants?.status === 200 && sessions?.status === 200 && grants.body.items.length + sessions.body.items.length === 0) {
      // The sequencer signs each second.
      await sleep(2500);
      return true;
    }
  }
  return false;
}

/** Notes when even this process's own timer did not run: the machine had no time for anybody. */
function watchMachine(note: (outage: Outage) => void): { stop(): void } {
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > STANDSTILL_MS) note({ what: 'standstill', target: null, from: last + TICK_MS, to: now });
    last = now;
  }, TICK_MS);
  return { stop: () => clearInterval(timer) };
}
