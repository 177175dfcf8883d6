/**
 * What recording a terminal costs: CPU and bytes for each MB of output, masking on and off, and reading it back. The output is
 * `ls -lR --color=always /usr/lib /usr/share`, in writes of 8 KB as a bulk comes, and of 100 bytes as somebody works. `node bench/ssh-recording.ts [MB]`, by
 * default 16. JSON on standard output.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { toAsciicast } from '#brokers/ssh/asciicast.ts';
import { readRules, USUAL_RULES } from '#brokers/ssh/mask-rules.ts';
import { readRecording } from '#brokers/ssh/recording.ts';
import { SshRecordingWriter } from '#brokers/ssh/recording-writer.ts';
import { searchRecording } from '#brokers/ssh/screen-text.ts';

const CHUNK = 64 * 1024;
const size = Number(process.argv[2] ?? 16) * 1_000_000;
const listing = spawnSync('ls', ['-lR', '--color=always', '/usr/lib', '/usr/share'], { maxBuffer: 1 << 30 }).stdout.toString('latin1').replaceAll('\n', '\r\n');
const terminal = Buffer.from(listing.repeat(Math.ceil(size / listing.length)).slice(0, size), 'latin1');
const noise = Buffer.from(randomBytes(size).toString('base64').slice(0, size));
const usual = readRules(USUAL_RULES);
const none = readRules([]);

interface Cost {
  readonly cpuMsPerMb: number;
  readonly bytesPerMb: number;
  readonly longestTakeMs: number;
}

function record(output: Buffer, write: number, rules: typeof usual): { readonly chunks: readonly Buffer[]; readonly cost: Cost } {
  const writer = new SshRecordingWriter({ rules });
  const chunks: Buffer[] = [];
  const takes: number[] = [];
  writer.opened(0, 'shell', { pty: { term: 'xterm-256color', cols: 120, rows: 40 } });
  const take = () => {
    const began = performance.now();
    chunks.push(writer.take(false));
    takes.push(performance.now() - began);
  };
  const began = process.cpuUsage();
  for (let at = 0; at < output.length; at += write) {
    writer.tick(at / 1000);
    writer.output(0, output.subarray(at, at + write), 'out');
    if (writer.size >= CHUNK) take();
  }
  take();
  return { chunks, cost: { cpuMsPerMb: cpuSince(began, output), bytesPerMb: Math.round(chunks.reduce((sum, { length }) => sum + length, 0) / (output.length / 1e6)), longestTakeMs: round(Math.max(...takes)) } };
}

/** What many recorders do: an asciicast line for each write, as it comes. */
function recordAsLines(output: Buffer, write: number): Pick<Cost, 'cpuMsPerMb' | 'bytesPerMb'> {
  let bytes = 0;
  const began = process.cpuUsage();
  for (let at = 0; at < output.length; at += write) bytes += Buffer.from(`${JSON.stringify([at, 'o', output.subarray(at, at + write).toString()])}\n`).length;
  return { cpuMsPerMb: cpuSince(began, output), bytesPerMb: Math.round(bytes / (output.length / 1e6)) };
}

function read(chunks: readonly Buffer[], output: Buffer, how: (chunks: readonly Buffer[]) => Iterable<unknown>): number {
  const began = process.cpuUsage();
  for (const _ of how(chunks));
  return cpuSince(began, output);
}

function cpuSince(began: NodeJS.CpuUsage, output: Buffer): number {
  const { user, system } = process.cpuUsage(began);
  return round((user + system) / 1000 / (output.length / 1e6));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

// What is measured is code that has run for a while.
record(terminal.subarray(0, 4_000_000), 8192, usual);
const bulk = record(terminal, 8192, usual);
const short = bulk.chunks.slice(0, Math.ceil(bulk.chunks.length / 8));
const shortOutput = terminal.subarray(0, terminal.length / 8);
console.log(JSON.stringify({
  megabytes: size / 1e6,
  bulk: bulk.cost,
  bulkWithoutMasking: record(terminal, 8192, none).cost,
  smallWrites: record(terminal, 100, usual).cost,
  base64: record(noise, 8192, usual).cost,
  asciicastLines: { bulk: recordAsLines(terminal, 8192), smallWrites: recordAsLines(terminal, 100) },
  readingCpuMsPerMb: {
    events: read(bulk.chunks, terminal, readRecording),
    asciicast: read(short, shortOutput, (chunks) => toAsciicast(readRecording(chunks), 0)),
    search: read(short, shortOutput, (chunks) => searchRecording(readRecording(chunks), 'not there', 10)),
  },
}, null, 2));
