import { act } from './acts.ts';
import { heal, strike } from './faults.ts';
import { everythingIsOver, logIsWhole } from './invariants/progress.ts';
import { Rng } from './random.ts';
import { START } from './scheduler.ts';
import { writeScript, type Script } from './script.ts';
import { setUp } from './setup.ts';
import { World, type Scene, type Violation } from './world.ts';

export interface Outcome {
  readonly seed: string;
  readonly script: Script;
  readonly violation: Violation | null;
  /** Milliseconds of simulated time, and how many of them nothing could happen in. */
  readonly simulatedMs: number;
  readonly leaptMs: number;
  readonly events: number;
  readonly grants: number;
  readonly sessions: number;
}

/** By then everything that was granted has run out and is gone: the longest grant, an extension, and some. */
const PROGRESS_MS = 5 * 3_600_000;

export const scriptOf = (seed: string): Script => writeScript(new Rng(`script/${seed}`));

/** Runs one world from its beginning to its end, or to what breaks first. The same seed and script give the same trace. */
export async function runSeed(seed: string, script: Script = scriptOf(seed), trace: ((line: string) => void) | null = null): Promise<Outcome> {
  const world = new World(`world/${seed}`, trace);
  const { scheduler } = world;
  const look = () => world.look();
  const leapTo = () => world.leapTo();
  await setUp(world);
  for (let index = 0; index < script.nodes; index++) world.startNode(index);
  for (const step of script.steps) {
    const run = (at?: Scene) => ('do' in step ? act(world, step) : strike(world, at ? { ...step, ...at } : step));
    scheduler.at(START + step.at, 'fixed', 'the script', null, () => (step.on === undefined ? run() : world.waitFor(step.on, step.delay ?? 0, run)));
  }
  await scheduler.run(START + script.healAt, look, leapTo);
  if (!scheduler.stopped) {
    heal(world);
    await untilOver(world, look, leapTo);
  }
  const { tables } = world.memory;
  return {
    seed, script, violation: world.violation, simulatedMs: scheduler.now - START, leaptMs: scheduler.leapt, events: scheduler.events,
    grants: tables.grants.rows.size, sessions: tables.sessions.rows.size,
  };
}

/** The healing: what was begun comes to its end, by itself. */
async function untilOver(world: World, look: () => void, leapTo: () => number): Promise<void> {
  const { scheduler } = world;
  const last = scheduler.now + PROGRESS_MS;
  // Long enough for a sweep and a minute's backoff; then, as long as something is left.
  let open: string | null = 'just begun';
  for (let until = scheduler.now + 100_000; open !== null && until <= last && !scheduler.stopped; until += 30_000) {
    await scheduler.run(until, look, leapTo);
    open = everythingIsOver(world);
  }
  if (scheduler.stopped) return;
  if (open !== null) world.violate(everythingIsOver.name, open);
  const broken = logIsWhole(world);
  if (broken !== null) world.violate(logIsWhole.name, broken);
}
