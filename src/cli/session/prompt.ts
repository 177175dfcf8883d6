/** Questions to the person at the terminal. What is typed as a secret is not shown. */
import { createInterface } from 'node:readline';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Run } from './run.ts';

const LARGEST_INPUT = 1_000_000;

/** @throws Failure without a terminal: silence is no consent */
export async function confirm(run: Run, question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await askLine(run, `${question} [y/N] `)).trim());
}

/** Demands the confirmation, unless `--yes` gave it before. @throws Failure */
export async function demand(run: Run, yes: boolean | undefined, question: string): Promise<void> {
  if (yes === true || (await confirm(run, question))) return;
  throw new Failure(EXIT.interrupted, 'nothing was changed');
}

/** One line of what is typed. @throws Failure without a terminal */
export async function askLine(run: Run, question: string): Promise<string> {
  const { stdin, stderr } = run.deps.terminal;
  if (stdin.isTTY !== true) throw new Failure(EXIT.usage, 'this asks for a confirmation, and there is no terminal to ask at', 'Give --yes once you know what it does.');
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('close', () => reject(new Failure(EXIT.interrupted, 'nothing was changed')));
      reader.once('SIGINT', () => reader.close());
      reader.question(question, resolve);
    });
  } finally {
    reader.close();
  }
}

/** A secret: typed unseen at a terminal, or everything on standard input. Never an argument, which `ps` shows to all. */
export async function askSecret(run: Run, question: string): Promise<string> {
  const { stdin } = run.deps.terminal;
  return stdin.isTTY === true && stdin.setRawMode ? typeUnseen(run, question) : (await readAll(run)).replace(/\r?\n$/, '');
}

export async function readAll(run: Run): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of run.deps.terminal.stdin) {
    size += (chunk as Uint8Array).length;
    if (size > LARGEST_INPUT) throw new Failure(EXIT.usage, 'standard input is larger than 1 MB');
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function typeUnseen(run: Run, question: string): Promise<string> {
  const { stdin, stderr } = run.deps.terminal;
  stderr.write(question);
  stdin.setRawMode?.(true);
  stdin.resume();
  return new Promise<string>((resolve, reject) => {
    const typed: string[] = [];
    const end = (finish: () => void) => {
      stdin.off('data', read);
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write('\n');
      finish();
    };
    const read = (bytes: Buffer) => {
      for (const char of bytes.toString('utf8')) {
        if (char === '\r' || char === '\n') return end(() => resolve(typed.join('')));
        if (char === '\u0003' || char === '\u0004') return end(() => reject(new Failure(EXIT.interrupted, 'nothing was changed')));
        if (char === '\u007f' || char === '\b') typed.pop();
        else if (char === '\u0015') typed.length = 0;
        else typed.push(char);
      }
    };
    stdin.on('data', read);
  });
}
