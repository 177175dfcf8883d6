/**
 * Breaks things for as long as one likes:
 *
 *     npm run faults -- [--minutes N] [--seed S] [--json FILE]
 *
 * Tells what it breaks, and closes with a summary in JSON. Exit code 1 when something was wrong.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { tell } from './story.ts';
import { faultWorld } from './world.ts';

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' }, json: { type: 'string' } },
});
const minutes = Number(options.minutes);
const seed = Number(options.seed ?? Math.floor(Math.random() * 1_000_000));
if (!(minutes > 0) || !Number.isSafeInteger(seed)) throw new Error('npm run faults -- [--minutes N] [--seed S] [--json FILE]');

console.log(`seed ${seed}, ${minutes} minutes; the same again: npm run faults -- --minutes ${minutes} --seed ${seed}`);
await using world = await faultWorld();
for (const reason of world.leftOut) console.log(`left out: ${reason}`);
const summary = await tell(world, { seed, seconds: minutes * 60 }, (line) => console.log(line));
const json = JSON.stringify(summary, null, 2);
console.log(json);
if (options.json !== undefined) await writeFile(options.json, `${json}\n`);
process.exitCode = summary.wrong.length === 0 ? 0 : 1;
