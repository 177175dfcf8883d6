import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Benchmark } from '../benchmark.ts';

/** What `bench/log.ts` prints. */
interface Report {
  readonly entries: number;
  readonly bytesPerEntry: number;
  readonly append: { readonly entriesPerSecond: number };
  readonly verify: { readonly seconds: number; readonly secondsPerMillion: number; readonly maxRssMb: number };
}

export const benchmark: Benchmark = {
  title: 'Log: the tree, and verifying a folder',
  about:
    'Without a database: how fast leaf hashes, tiles, root and a signed checkpoint for each five thousand entries are made, and how long the verifier takes over the folder of files, as an outsider has it: every entry is read, hashed and checked, one thread. The figure for ten millions is ten times that of one million. `node bench/log.ts 10000000` does them all, and needs 5.5 GB.',
  async run({ quick }) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../log.ts'), quick ? '50000' : '1000000'], { maxBuffer: 16 * 1024 * 1024 });
    const report = JSON.parse(stdout) as Report;
    return {
      figures: [
        { what: 'entries appended', value: report.append.entriesPerSecond, unit: '/s', aim: { atLeast: 5000 } },
        { what: 'a million entries verified', value: report.verify.secondsPerMillion, unit: 's' },
        { what: 'ten million entries verified (computed)', value: Number((report.verify.secondsPerMillion * 10).toFixed(1)), unit: 's', aim: { atMost: 120 } },
        { what: 'memory of the verifier', value: report.verify.maxRssMb, unit: 'MB' },
      ],
      details: { ...report },
    };
  },
};
