/**
 * Runs a program and notes in a file what passes through its input and output, in the order in which it did: `node pipe-tap.ts FILE
 * PROGRAM ARGS...`. Stands where an SSH connection would be, so that real clients and servers are heard in clear text.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

export type Side = 'client' | 'server';
const SIDES: readonly Side[] = ['client', 'server'];

/** What was noted. */
export function* heardBy(file: string): Generator<readonly [Side, Buffer]> {
  const bytes = readFileSync(file);
  for (let at = 0; at < bytes.length; ) {
    const to = at + 5 + bytes.readUInt32BE(at + 1);
    yield [SIDES[bytes[at] as number] as Side, bytes.subarray(at + 5, to)];
    at = to;
  }
}

if (import.meta.main) {
  const [file = '', program = '', ...args] = process.argv.slice(2);
  const notes = openSync(file, 'a');
  const note = (side: Side, bytes: Buffer): void => {
    const head = Buffer.alloc(5);
    head[0] = SIDES.indexOf(side);
    head.writeUInt32BE(bytes.length, 1);
    writeSync(notes, Buffer.concat([head, bytes]));
  };
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  process.stdin.on('data', (bytes: Buffer) => note('client', bytes));
  process.stdin.pipe(child.stdin);
  child.stdout.on('data', (bytes: Buffer) => note('server', bytes));
  child.stdout.pipe(process.stdout);
  // A client that has what it wanted goes without a word.
  child.stdin.on('error', () => {});
  process.stdout.on('error', () => {});
  child.on('close', (code) => {
    closeSync(notes);
    process.exitCode = code ?? 1;
  });
}
