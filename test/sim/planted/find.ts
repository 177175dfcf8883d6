import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runEverywhere, type Range } from '../campaign.ts';
import { REGRESSIONS } from '../regressions.ts';
import type { Outcome } from '../run.ts';
import { PLANTED_BUGS, type PlantedBug } from './bugs.ts';
import { writeTable } from './document.ts';

export interface Found {
  readonly bug: PlantedBug;
  /** How many seeds it took, from the first; `script` when only the one found it that is kept of it; `null` when nothing did. */
  readonly seeds: number | 'script' | null;
  readonly invariant: string | null;
  /** Steps of the shortest script found. */
  readonly steps: number | null;
}

/** Switches each planted bug on in turn and counts the seeds until it is found. */
export async function findAll({ from, seeds, jobs, json, doc }: Range & { readonly jobs: number | undefined; readonly json: boolean; readonly doc: boolean }): Promise<number> {
  const found: Found[] = [];
  for (const bug of PLANTED_BUGS) {
    const one = await find(bug, { from, seeds }, jobs);
    found.push(one);
    if (!json) console.log(one.seeds === null ? `${bug.name}: NOT FOUND in ${seeds} seeds` : `${bug.name}: ${one.seeds === 'script' ? 'its script' : `seed ${one.seeds}`}, ${one.invariant}, ${one.steps} steps`);
  }
  const killed = found.filter((one) => one.seeds !== null).length;
  console.log(json ? JSON.stringify(found.map((one) => ({ ...one, bug: one.bug.name }))) : `${killed} of ${found.length} found`);
  if (doc) writeTable(found, seeds);
  return killed === found.length ? 0 : 1;
}

/** What seeds found once, and seldom find, is kept as a script. */
function byScript(bug: PlantedBug): Found {
  const index = REGRESSIONS.findIndex((one) => one.bug === bug.name);
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const ran = index === -1 ? null : spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--regression', String(index), '--plant', bug.name, '--json'], { encoding: 'utf8' });
  if (ran?.status !== 1) return { bug, seeds: null, invariant: null, steps: null };
  const { violation, script } = JSON.parse(ran.stdout) as Outcome;
  return { bug, seeds: 'script', invariant: violation?.invariant ?? null, steps: script.steps.length };
}

async function find(bug: PlantedBug, range: Range, jobs: number | undefined): Promise<Found> {
  const { failed } = await runEverywhere(range, jobs, bug.name);
  if (failed?.violation == null) return byScript(bug);
  return { bug, seeds: Number(failed.seed) - range.from + 1, invariant: failed.violation.invariant, steps: failed.script.steps.length };
}
