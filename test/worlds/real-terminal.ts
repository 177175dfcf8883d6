/** A program on a real terminal (`script` of util-linux makes it), recorded as an SSH broker would record it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readRules, USUAL_RULES } from '#brokers/ssh/mask-rules.ts';
import { readRecording, type SshEvent } from '#brokers/ssh/recording.ts';
import { SshRecordingWriter } from '#brokers/ssh/recording-writer.ts';

export interface RealTerminal {
  /** Types it, as fast as somebody pastes. */
  type(keys: string): void;
  /** Waits until the program has written this. */
  shows(text: string): Promise<void>;
  /** Waits for the program to end; answers what it wrote, and the chunks of the recording. */
  ended(): Promise<{ readonly output: Buffer; readonly chunks: readonly Buffer[]; readonly events: readonly SshEvent[] }>;
}

const PATIENCE_MS = 10_000;

export function realTerminal(t: TestContext, command: string, cols: number, rows: number): RealTerminal {
  const began = performance.now();
  const writer = new SshRecordingWriter({ rules: readRules(USUAL_RULES) });
  writer.header({ session: 'ses_01jd000000000000000000000a', startedAt: '2026-11-28T12:00:00.000Z' });
  writer.opened(0, 'shell', { pty: { term: 'xterm-256color', cols, rows } });
  const child = spawn('script', ['-qefc', `stty cols ${cols} rows ${rows}; ${command}`, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm-256color', LANG: 'C.UTF-8', HOME: '/nonexistent', PS1: 'ada@host:\\w$ ' }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  const wrote: Buffer[] = [];
  const chunks: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => {
    wrote.push(bytes);
    writer.tick(performance.now() - began);
    writer.output(0, bytes, 'out');
    if (writer.size > 64 * 1024) chunks.push(writer.take(false));
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  let seen = 0;
  return {
    type: (keys) => {
      writer.tick(performance.now() - began);
      writer.input(0, Buffer.from(keys));
      child.stdin.write(keys);
    },
    shows: async (text) => {
      for (const end = performance.now() + PATIENCE_MS; ; await sleep(10)) {
        const output = Buffer.concat(wrote);
        const at = output.indexOf(text, seen);
        if (at >= 0) {
          seen = at + Buffer.byteLength(text);
          return;
        }
        assert.ok(performance.now() < end, `never shown: ${text}; shown was ${output.subarray(-500).toString()}`);
      }
    },
    ended: async () => {
      const code = await closed;
      writer.exit(0, code, null);
      writer.closed(0, 0, 0);
      writer.end('completed');
      chunks.push(writer.take(true));
      return { output: Buffer.concat(wrote), chunks, events: [...readRecording(chunks)] };
    },
  };
}
