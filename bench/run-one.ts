/**
 * Runs one benchmark in a process of its own and hands its figures to `bench/run.ts`. What the benchmark brings up it
 * takes down itself; whatever still keeps the process alive then (a test hook, an idle connection) ends with it.
 */
import type { Benchmark } from './benchmark.ts';

export type FromBenchmark = { readonly line: string } | { readonly measured: Awaited<ReturnType<Benchmark['run']>> } | { readonly failed: string };

const [name = '', mode] = process.argv.slice(2);
const send = (message: FromBenchmark) => new Promise<void>((resolve) => process.send?.(message, undefined, {}, () => resolve()));

try {
  const { benchmark } = (await import(`./measured/${name}.ts`)) as { benchmark: Benchmark };
  const measured = await benchmark.run({ quick: mode === 'quick', tell: (line) => void send({ line }) });
  await send({ measured });
} catch (error) {
  await send({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
process.exit();
