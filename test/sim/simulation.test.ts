import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runEverywhere } from './campaign.ts';
import { PLANTED_BUGS } from './planted/bugs.ts';
import { patched } from './plant.ts';
import { describe } from './replay.ts';
import { REGRESSIONS } from './regressions.ts';
import { runSeed } from './run.ts';

/** Three minutes on two processors that have nothing else to do; `npm run sim` runs any number. */
const SEEDS = 2000;

test('the same seed gives the same trace, byte for byte', async () => {
  const traceOf = async (seed: string) => {
    const lines: string[] = [];
    await runSeed(seed, undefined, (line) => lines.push(line));
    return lines.join('\n');
  };
  for (const seed of ['1', '2', 'another']) {
    const trace = await traceOf(seed);
    assert.ok(trace.length > 50_000);
    assert.ok(trace === (await traceOf(seed)), `seed ${seed} gave two traces`);
  }
  assert.notEqual(await traceOf('1'), await traceOf('2'));
});

test(`${SEEDS} seeds: every invariant holds, and everything comes to its end`, { timeout: 1_200_000 }, async () => {
  const tally = await runEverywhere({ from: 1, seeds: SEEDS });
  assert.equal(tally.failed && describe(tally.failed), null);
  assert.equal(tally.seeds, SEEDS);
  assert.ok(tally.grants > SEEDS * 3 && tally.sessions > SEEDS, 'the worlds are busy');
});

test('what the simulator found in Brevet stays mended, and is found when it is planted again', async () => {
  for (const { bug, seed, script } of REGRESSIONS) {
    const outcome = await runSeed(seed, script);
    assert.equal(outcome.violation, null, `${bug}: ${JSON.stringify(outcome.violation)}`);
  }
});

test('a planted bug changes what stands in its file exactly once', () => {
  assert.ok(PLANTED_BUGS.length >= 15);
  for (const { name, patches } of PLANTED_BUGS) {
    const texts = new Map<string, string>();
    for (const patch of patches) {
      const text = texts.get(patch.file) ?? readFileSync(new URL(`../../${patch.file}`, import.meta.url), 'utf8');
      assert.doesNotThrow(() => texts.set(patch.file, patched(text, patch)), name);
    }
  }
});
