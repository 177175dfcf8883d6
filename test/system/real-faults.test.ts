/**
 * Servers, brokers, the store and the targets are killed, paused and cut off at random, and clocks are moved, while people
 * work. The short version of `npm run faults`: docs/faults.md. `FAULTS_SECONDS=120 FAULTS_SEED=7` tells another story.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tell } from '#test/faults/story.ts';
import { faultWorld } from '#test/faults/world.ts';

const SECONDS = Number(process.env['FAULTS_SECONDS'] ?? 70);
const SEED = Number(process.env['FAULTS_SEED'] ?? 20_262);

test('B05, B08, B09, B12: whatever breaks, nobody has access outside of a grant, nothing acknowledged is lost, everything ends', { timeout: (SECONDS + 240) * 1000 }, async (t) => {
  t.diagnostic(`seed ${SEED}, ${SECONDS} seconds`);
  await using world = await faultWorld();
  const summary = await tell(world, { seed: SEED, seconds: SECONDS }, process.env['FAULTS_SECONDS'] === undefined ? () => undefined : (line) => t.diagnostic(line));
  for (const reason of summary.leftOut) t.diagnostic(`left out: ${reason}`);
  t.diagnostic(JSON.stringify(summary));
  assert.deepEqual(summary.wrong, []);
  const struck = Object.values(summary.faults).reduce((sum, n) => sum + n, 0);
  assert.ok(struck > SECONDS / 6 && summary.active > SECONDS / 6 && summary.sessions > SECONDS / 6 && summary.uses > SECONDS * 20, 'the story was worth telling');
});
