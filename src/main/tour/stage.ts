import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** What a command did, as somebody at the terminal would have seen it. */
export interface Seen {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class NotObserved extends Error {
  override readonly name = 'NotObserved';
}

/** Tells the story and runs its commands for real. What is expected is looked for in what they print. */
export class Stage {
  readonly #colour: boolean;
  readonly #out: NodeJS.WriteStream;
  #chapter = 0;
  #observed = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#colour = out.isTTY === true && process.env['NO_COLOR'] === undefined;
  }

  get observed(): number {
    return this.#observed;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    this.#print(`\n${this.#paint('1', `${this.#chapter}. ${title}`)}\n`);
  }

  say(text: string): void {
    this.#print(`   ${this.#paint('2', text)}\n`);
  }

  /** Notes that something was really seen; @throws NotObserved */
  observe(what: string, holds: boolean, instead = ''): void {
    if (!holds) throw new NotObserved(`expected: ${what}${instead === '' ? '' : `\n   saw: ${instead.trim().slice(0, 2000)}`}`);
    this.#observed += 1;
    this.#print(`   ${this.#paint('32', '■')} ${what}\n`);
  }

  /** Runs a program, shows the command as one would type it, and what it printed. */
  run(shown: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv, options: { readonly hide?: boolean } = {}): Promise<Seen> {
    this.#print(`\n   ${this.#paint('36', `$ ${shown}`)}\n`);
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    const show = (bytes: Buffer) => {
      if (options.hide !== true) for (const line of bytes.toString().replace(/\n$/, '').split('\n')) this.#print(`   ${this.#paint('2', '│')} ${line}\n`);
    };
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes;
      show(bytes);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes;
      show(bytes);
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : 1), stdout: stripVTControlCharacters(stdout), stderr: stripVTControlCharacters(stderr) }));
    });
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  #print(text: string): void {
    this.#out.write(text);
  }
}
