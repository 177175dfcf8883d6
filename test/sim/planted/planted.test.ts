import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runEverywhere } from '../campaign.ts';
import { REGRESSIONS } from '../regressions.ts';

/** Of the table in docs/simulation.md those that a few seeds find. */
const QUICK = ['gives-up-after-six', 'retry-not-idempotent', 'no-sweep', 'entry-outside-transaction', 'requester-reviews', 'review-not-bound'];

for (const bug of QUICK) {
  test(`planted: ${bug} is found`, async () => {
    const { failed } = await runEverywhere({ from: 1, seeds: 25 }, 1, bug, 0);
    assert.ok(failed?.violation, 'nobody noticed');
  });
}

for (const [index, { bug }] of REGRESSIONS.entries()) {
  test(`planted: ${bug} is found by the script that is kept of it`, () => {
    const main = fileURLToPath(new URL('../main.ts', import.meta.url));
    const { status, stdout } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--regression', String(index), '--plant', bug, '--json'], { encoding: 'utf8' });
    assert.equal(status, 1, stdout);
  });
}
