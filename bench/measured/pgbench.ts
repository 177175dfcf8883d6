import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Benchmark, Figure } from '../benchmark.ts';

/** What `bench/broker-pgbench.ts` prints. */
interface Report {
  readonly seconds: number;
  readonly rounds: number;
  readonly results: readonly {
    readonly what: string;
    readonly unit: string;
    readonly medians: Readonly<Record<string, number>>;
    readonly all: Readonly<Record<string, readonly number[]>>;
  }[];
}

export const benchmark: Benchmark = {
  title: 'PostgreSQL through the broker',
  about:
    'pgbench, select only, and COPY of 1.5 million rows out and in: direct, through a Node process that only pipes bytes, through pgbouncer (session pooling), and through the broker with auditing and recording on, with one process and with two; pipe and pgbouncer also with TLS to the client, which the broker always has. In turns within one run; ratios of medians. The ratios with TLS on both sides compare like with like. `bench/broker-pgbench.ts` by itself takes more options.',
  async run({ quick }) {
    const args = quick ? ['--seconds', '1', '--rounds', '1', '--only', 'simple-8,prepared-8'] : ['--seconds', '4', '--rounds', '5'];
    const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../broker-pgbench.ts'), ...args], { maxBuffer: 64 * 1024 * 1024 });
    const report = JSON.parse(stdout) as Report;
    const figures: Figure[] = [];
    const ratio = (what: string, name: string, system: string, to: string, aim?: Figure['aim']) => {
      const medians = report.results.find((result) => result.what === what)?.medians;
      const [one, other] = [medians?.[system], medians?.[to]];
      if (one !== undefined && other !== undefined) figures.push({ what: `${name}: ${system} to ${to}`, value: Number((one / other).toFixed(2)), unit: 'ratio', ...(aim ? { aim } : {}) });
    };
    for (const [what, name] of [['simple-8', 'simple, 8 clients'], ['prepared-8', 'prepared, 8 clients']] as const) {
      ratio(what, name, 'broker', 'plain pipe', { atLeast: 0.9 });
      ratio(what, name, 'broker', 'plain pipe, TLS');
      ratio(what, name, 'broker, 2 processes', 'pgbouncer', { atLeast: 1 });
      ratio(what, name, 'broker, 2 processes', 'pgbouncer, TLS');
      ratio(what, name, 'broker, 2 processes', 'direct');
    }
    for (const [what, name] of [['copy-out', 'COPY out'], ['copy-in', 'COPY in']] as const) ratio(what, name, 'broker', 'direct', { atLeast: 0.9 });
    return { figures, details: { seconds: report.seconds, rounds: report.rounds, results: report.results } };
  },
};
