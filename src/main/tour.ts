/** `npm run tour`: the whole main job, unattended, with real programs; each step has to be seen or the tour fails. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refusal } from '#domain/refusal.ts';
import { openDemo } from './demo/open-demo.ts';
import { readSettings } from './settings.ts';
import { stoppable } from './stopping.ts';
import { NotObserved, Stage } from './tour/stage.ts';
import { tellStory } from './tour/story.ts';

const HELP = `npm run tour

  Plays Brevet's main job from a request to a proven removal, in about a minute,
  in a folder of its own that is removed afterwards. Needs psql.
  Exits with 0 only if every step was really observed.
`;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (spawnSync('psql', ['--version']).status !== 0) {
    throw new Refusal('unsupported', 'the tour needs psql, the PostgreSQL client', { hint: 'On Debian: apt-get install postgresql-client' });
  }
  const stage = new Stage(process.stdout);
  const began = performance.now();
  const data = await mkdtemp(join(tmpdir(), 'brevet-tour-'));
  const env = { BREVET_DATA: data, BREVET_HTTP_PORT: '0', BREVET_BROKER_PORT: '0', BREVET_JOURNAL: process.env['BREVET_JOURNAL'] ?? 'silent' };
  stage.chapter('A small world');
  const stopping = stoppable(() => undefined);
  // Nothing of a tour is kept: at the first Ctrl-C everything it started is ended at once.
  void stopping.asked.then(() => stopping.leave(() => rm(data, { recursive: true, force: true })));
  const demo = await openDemo(readSettings(env, null), (text) => stage.say(`${text} ...`), stopping.children);
  try {
    await tellStory(stage, demo, data);
  } finally {
    await demo.stop();
    await rm(data, { recursive: true, force: true });
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  process.stdout.write(`\n   ${stage.observed} things observed in ${seconds} s. The world is gone again. Your own: npm start\n\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof NotObserved) {
    process.stderr.write(`\n   The tour stops here.\n   ${error.message}\n`);
    return 1;
  }
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`\n   ${error.message}\n${error.details.hint ? `   ${error.details.hint}\n` : ''}`);
  return 1;
});
