/** The simulator's command line; `--help` says what it does. A planted bug is planted before anything of Brevet is loaded. */
import { parseArgs } from 'node:util';
import { PLANTED_BUGS } from './planted/bugs.ts';
import { plant } from './plant.ts';

const HELP = `Usage: npm run sim -- [options]

Runs Brevet's own code on a simulated world, from one seed after the other, and
looks at its invariants after every step. docs/simulation.md tells more.

  --seeds N        how many seeds (default 200)
  --from N         the first one (default 1)
  --jobs N         processes at a time (default: as many as processors)
  --seed S         one seed only, shrunk when it fails
  --shrink N       the most runs to look for a shorter script in (default 150)
  --keep A,B,C     of its script only these steps
  --trace          print everything that happens
  --regression N   the script that showed the Nth bug found in Brevet itself (0 ...)
  --plant NAME     with a planted bug
  --planted        every planted bug in turn, until it is found or the seeds are over
  --doc            with --planted: write the table in docs/simulation.md
  --json           print the outcome as JSON
  --help           this text
`;

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' }, from: { type: 'string', default: '1' }, jobs: { type: 'string' }, seed: { type: 'string' }, keep: { type: 'string' }, shrink: { type: 'string', default: '150' }, regression: { type: 'string' },
    trace: { type: 'boolean', default: false }, plant: { type: 'string' }, planted: { type: 'boolean', default: false }, doc: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false }, worker: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.plant !== undefined) {
    const bug = PLANTED_BUGS.find(({ name }) => name === options.plant);
    if (!bug) throw new Error(`no planted bug is called ${options.plant}: ${PLANTED_BUGS.map(({ name }) => name).join(', ')}`);
    plant(bug.patches);
  }
  const range = { from: Number(options.from), seeds: Number(options.seeds) };
  const jobs = options.jobs === undefined ? undefined : Number(options.jobs);
  if (options.worker) return (await import('./campaign.ts')).work(range, Number(options.shrink));
  if (options.planted) return (await import('./planted/find.ts')).findAll({ ...range, jobs, json: options.json, doc: options.doc });
  if (options.regression !== undefined) return (await import('./replay.ts')).replayRegression(Number(options.regression), options);
  if (options.seed !== undefined) return (await import('./replay.ts')).replay(options.seed, { keep: options.keep, trace: options.trace, json: options.json, plant: options.plant });
  return (await import('./campaign.ts')).campaign({ ...range, jobs, json: options.json, plant: options.plant });
}

process.exitCode = await main();
