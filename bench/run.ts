/**
 * Runs benchmarks one after the other, each in a process of its own on one durable store.
 *
 *     npm run bench -- [NAME ...] [--quick] [--json FILE] [--doc]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Benchmark, Measured } from './benchmark.ts';
import { writeDocument } from './document.ts';
import { readEnvironment, type Environment } from './environment.ts';
import type { FromBenchmark } from './run-one.ts';
import { durableStore } from './world/durable-store.ts';
import { figureLines } from './table.ts';

/** One benchmark's outcome as it stands in the JSON. */
export interface Outcome {
  readonly name: string;
  readonly title: string;
  readonly environment: Environment;
  readonly seconds: number;
  readonly measured: Measured | null;
  /** Why there are no figures. */
  readonly failed: string | null;
}

const FOLDER = join(import.meta.dirname, 'measured');
const NAMES = readdirSync(FOLDER).filter((file) => file.endsWith('.ts')).map((file) => file.slice(0, -3)).sort();

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, doc: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
});

const load = async (name: string) => ((await import(join(FOLDER, `${name}.ts`))) as { benchmark: Benchmark }).benchmark;

async function help(): Promise<void> {
  console.log('npm run bench -- [NAME ...] [--quick] [--json FILE] [--doc]\n');
  console.log('  --quick      a tenth of the work: to see that it runs, not to quote\n  --json FILE  figures, details and environment\n  --doc        writes docs/benchmarks.md and docs/benchmarks.json\n');
  for (const name of NAMES) {
    const { title, about } = await load(name);
    console.log(`${name}: ${title}\n${wrap(about)}\n`);
  }
}

function wrap(text: string): string {
  return text.replace(/(.{1,96})(?:\s+|$)/g, '    $1\n').trimEnd();
}

async function measure(name: string, storeUrl: string): Promise<Outcome> {
  const { title } = await load(name);
  const environment = await readEnvironment(storeUrl, options.quick);
  const began = performance.now();
  console.log(`\n${name}: ${title}`);
  const child = fork(join(import.meta.dirname, 'run-one.ts'), [name, options.quick ? 'quick' : 'full'], {
    env: { ...process.env, TEST_DATABASE_URL: storeUrl },
    // Benchmarks answer by message; what libraries print belongs nowhere.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  let measured: Measured | null = null;
  let failed: string | null = null;
  child.on('message', (raw) => {
    const message = raw as FromBenchmark;
    if ('line' in message) console.log(`  ... ${message.line}`);
    else if ('measured' in message) measured = message.measured;
    else failed = message.failed;
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (measured === null) failed ??= `it ended without figures (${signal ?? code})`;
  return { name, title, environment, seconds: Math.round((performance.now() - began) / 1000), measured, failed };
}

async function main(): Promise<void> {
  if (options.help) return help();
  const unknown = positionals.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) {
    console.error(`There is no benchmark "${unknown[0]}". There are: ${NAMES.join(', ')}.`);
    process.exitCode = 2;
    return;
  }
  await using store = await durableStore();
  const outcomes: Outcome[] = [];
  for (const name of positionals.length > 0 ? positionals : NAMES) {
    const outcome = await measure(name, store.url);
    outcomes.push(outcome);
    console.log(outcome.measured === null ? `  failed: ${outcome.failed}` : figureLines(outcome.measured.figures));
    console.log(`  in ${outcome.seconds} s, load at start ${outcome.environment.loadAtStart}`);
  }
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(outcomes, null, 2)}\n`);
  if (options.doc) await writeDocument(outcomes);
  if (outcomes.some(({ failed }) => failed !== null)) process.exitCode = 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
await main();
process.exit();
