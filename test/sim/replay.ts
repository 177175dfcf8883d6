import { REGRESSIONS } from './regressions.ts';
import { runSeed, scriptOf, type Outcome } from './run.ts';
import { shrink } from './shrink.ts';

/** Runs that a failure may be shrunk in. */
export const SHRINK_RUNS = 150;

interface ReplayOptions {
  readonly keep: string | undefined;
  readonly trace: boolean;
  readonly json: boolean;
  readonly plant: string | undefined;
}

/** One seed, or what is kept of its script. Answers the exit code. */
export async function replay(seed: string, { keep, trace, json, plant }: ReplayOptions): Promise<number> {
  const whole = scriptOf(seed);
  const kept = keep?.split(',').map(Number);
  const script = kept === undefined ? whole : { ...whole, steps: whole.steps.filter(({ id }) => kept.includes(id)) };
  const outcome = await runSeed(seed, script, trace ? (line) => console.log(line) : null);
  const shown = outcome.violation && kept === undefined && !trace ? await shrink(outcome, SHRINK_RUNS) : outcome;
  console.log(json ? JSON.stringify(shown) : describe(shown, plant));
  return shown.violation ? 1 : 0;
}

/** A script that showed a bug in Brevet itself. */
export async function replayRegression(index: number, { trace, json, plant }: Omit<ReplayOptions, 'keep' | 'plant'> & { readonly plant?: string | undefined }): Promise<number> {
  const regression = REGRESSIONS[index];
  if (!regression) throw new RangeError(`there are ${REGRESSIONS.length} regressions`);
  const outcome = await runSeed(regression.seed, regression.script, trace ? (line) => console.log(line) : null);
  console.log(json ? JSON.stringify(outcome) : describe(outcome, plant));
  return outcome.violation ? 1 : 0;
}

export function describe({ seed, script, violation, simulatedMs, events }: Outcome, plant?: string): string {
  if (!violation) return `seed ${seed}: ${script.steps.length} steps, ${events} events, ${(simulatedMs / 3_600_000).toFixed(1)} hours: every invariant held`;
  const steps = script.steps.map((step) => `  ${(step.at / 1000).toFixed(3).padStart(10)} s  ${JSON.stringify(step)}`);
  const command = `npm run sim -- --seed ${seed} --keep ${script.steps.map(({ id }) => id).join(',')} --trace${plant === undefined ? '' : ` --plant ${plant}`}`;
  return [`seed ${seed}: ${violation.invariant} at ${(violation.at / 1000).toFixed(3)} s: ${violation.message}`, 'The shortest script found:', ...steps, `Again: ${command}`].join('\n');
}
