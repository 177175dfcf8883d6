import { runSeed, type Outcome } from './run.ts';
import type { Script, Step } from './script.ts';

/**
 * Looks for a shorter script that breaks the same invariant: drops halves, quarters ... single steps, as long as it still
 * breaks. `budget` is the most runs it may take.
 */
export async function shrink(failed: Outcome, budget: number): Promise<Outcome> {
  let best = await orKeep(failed, withoutTail(failed));
  for (let size = Math.ceil(best.script.steps.length / 2), left = budget; size >= 1 && left > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < best.script.steps.length && left > 0; left -= 1) {
      const steps = best.script.steps.filter((_, at) => at < from || at >= from + size);
      const shorter = await orKeep(best, { ...best.script, steps });
      if (shorter === best) from += size;
      else best = shorter;
    }
    if (size === 1) break;
  }
  return best;
}

/** What was to come after the violation does not matter. */
function withoutTail({ script, violation }: Outcome): Script {
  return { ...script, steps: script.steps.filter((step: Step) => violation === null || step.at <= violation.at) };
}

async function orKeep(best: Outcome, script: Script): Promise<Outcome> {
  const tried = await runSeed(best.seed, script);
  return tried.violation?.invariant === best.violation?.invariant ? tried : best;
}
