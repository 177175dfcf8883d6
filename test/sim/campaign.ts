import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, SHRINK_RUNS } from './replay.ts';
import { runSeed, type Outcome } from './run.ts';
import { shrink } from './shrink.ts';

export interface Range {
  readonly from: number;
  readonly seeds: number;
}

/** What a range of seeds came to. */
export interface Tally {
  seeds: number;
  simulatedMs: number;
  leaptMs: number;
  events: number;
  grants: number;
  sessions: number;
  failed: Outcome | null;
}

const empty = (): Tally => ({ seeds: 0, simulatedMs: 0, leaptMs: 0, events: 0, grants: 0, sessions: 0, failed: null });

function add(tally: Tally, one: Omit<Tally, 'failed'>): void {
  for (const what of ['seeds', 'simulatedMs', 'leaptMs', 'events', 'grants', 'sessions'] as const) tally[what] += one[what];
}

/** Runs a range in this process, to the first seed that fails, and prints a line of JSON for the parent. */
export async function work({ from, seeds }: Range, shrinkRuns = SHRINK_RUNS): Promise<number> {
  const tally = await runRange({ from, seeds }, shrinkRuns);
  process.stdout.write(`${JSON.stringify(tally)}\n`);
  return 0;
}

async function runRange({ from, seeds }: Range, shrinkRuns: number): Promise<Tally> {
  const tally = empty();
  for (let seed = from; seed < from + seeds && tally.failed === null; seed++) {
    const outcome = await runSeed(String(seed));
    add(tally, { seeds: 1, ...outcome });
    if (outcome.violation) tally.failed = await shrink(outcome, shrinkRuns);
  }
  return tally;
}

const CHUNK = 50;

/** Runs a range in processes beside each other, chunk by chunk; stops at the first failure, and shrinks it. */
export async function runEverywhere({ from, seeds }: Range, jobs = availableParallelism(), plant?: string, shrinkRuns = SHRINK_RUNS): Promise<Tally> {
  const tally = empty();
  let next = from;
  const worker = async () => {
    while (next < from + seeds && tally.failed === null) {
      const chunk = { from: next, seeds: Math.min(CHUNK, from + seeds - next) };
      next += chunk.seeds;
      const part = await runChunk(chunk, plant, shrinkRuns);
      add(tally, part);
      if (part.failed) tally.failed = earlier(tally.failed, part.failed);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return tally;
}

const earlier = (a: Outcome | null, b: Outcome): Outcome => (a !== null && Number(a.seed) <= Number(b.seed) ? a : b);

async function runChunk({ from, seeds }: Range, plant: string | undefined, shrinkRuns: number): Promise<Tally> {
  const args = ['--worker', '--shrink', String(shrinkRuns), '--from', String(from), '--seeds', String(seeds), ...(plant === undefined ? [] : ['--plant', plant])];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./main.ts', import.meta.url)), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  for await (const line of createInterface({ input: child.stdout })) last = line;
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`a process of the simulator failed (seeds from ${from})`);
  return JSON.parse(last) as Tally;
}

/** The command: a range of seeds, and a report. Answers the exit code. */
export async function campaign({ from, seeds, jobs, json, plant }: Range & { readonly jobs: number | undefined; readonly json: boolean; readonly plant: string | undefined }): Promise<number> {
  const began = performance.now();
  const tally = await runEverywhere({ from, seeds }, jobs, plant);
  const seconds = (performance.now() - began) / 1000;
  console.log(json ? JSON.stringify({ ...tally, seconds }) : report(tally, seconds, plant));
  return tally.failed ? 1 : 0;
}

function report({ seeds, simulatedMs, events, grants, sessions, failed }: Tally, seconds: number, plant: string | undefined): string {
  const days = simulatedMs / 86_400_000;
  const figures = `${seeds} seeds in ${seconds.toFixed(1)} s (${(seeds / seconds).toFixed(1)}/s): ${days.toFixed(1)} simulated days (${(days / seconds).toFixed(1)}/s), ${events} events, ${grants} grants, ${sessions} sessions`;
  return failed ? `${describe(failed, plant)}\n${figures}` : `${figures}: every invariant held`;
}
