/** What one run of a command works with: its common options, the client, and how to speak to whoever started it. */
import type { CliDeps } from '../deps.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { escape, safeJson } from '../output/escape.ts';
import { type Paint, painter } from '../output/paint.ts';
import { cut } from '../output/width.ts';
import { timesIn, type Times } from '../output/times.ts';
import { Client, readServer } from './client.ts';
import { profileFolder, readProfile, type SignedInProfile } from './profile.ts';

export interface CommonOptions {
  readonly json?: true;
  readonly utc?: true;
  readonly server?: string;
  readonly insecureHttp?: true;
  readonly color?: boolean;
}

export class Run {
  readonly deps: CliDeps;
  readonly json: boolean;
  readonly paint: Paint;
  readonly folder: string;
  readonly #options: CommonOptions;
  readonly #interrupt = new AbortController();
  #client: Client | null = null;
  #times: Times | null = null;

  constructor(deps: CliDeps, options: CommonOptions) {
    this.deps = deps;
    this.#options = options;
    this.json = options.json === true;
    this.folder = profileFolder(deps);
    this.paint = painter(deps.terminal.stdout.isTTY === true && options.color !== false && !deps.env['NO_COLOR'] && deps.env['TERM'] !== 'dumb');
  }

  /** The width to fit tables into; undefined in a pipe, where nothing is cut. */
  get columns(): number | undefined {
    const { stdout } = this.deps.terminal;
    // A terminal that does not know its size says 0.
    return stdout.isTTY === true ? stdout.columns || 80 : undefined;
  }

  get times(): Times {
    this.#times ??= timesIn(this.#options.utc ? 'UTC' : this.deps.timeZone, () => this.#client?.now() ?? this.deps.now());
    return this.#times;
  }

  /** The server named on the command line or in BREVET_SERVER; null when the sign-in decides. */
  get namedServer(): string | null {
    const named = this.#options.server ?? this.deps.env['BREVET_SERVER'];
    return named ? this.serverAt(named) : null;
  }

  serverAt(address: string): string {
    return readServer(address, this.#options.insecureHttp === true);
  }

  async profile(): Promise<SignedInProfile> {
    const profile = await readProfile(this.folder);
    if (profile) return profile;
    throw new Failure(EXIT.unauthenticated, 'you are not signed in here', 'brevet login LINK, with a link from an administrator or from npm start.');
  }

  /** Signed in. @throws Failure `unauthenticated` without a sign-in */
  async client(): Promise<Client> {
    if (this.#client) return this.#client;
    const profile = await this.profile();
    const server = this.namedServer ?? this.serverAt(profile.server);
    // A signature is only ever made for the server that the key was enrolled at.
    if (server !== profile.server) throw new Failure(EXIT.unauthenticated, `you are signed in at ${profile.server}, not at ${server}`, `Sign in there with its own BREVET_HOME, or leave --server out.`);
    this.#client = this.clientAt(server, profile);
    return this.#client;
  }

  clientAt(server: string, profile: SignedInProfile | null): Client {
    return new Client(server, profile, this.deps, this.#interrupt.signal);
  }

  /** The result: the exact answer with --json, else what `render` writes. */
  answer(value: unknown, render: () => string): void {
    this.print(this.json ? safeJson(value) : render());
  }

  print(text: string): void {
    this.deps.terminal.stdout.write(`${text}\n`);
  }

  /** For the reader's eyes, beside the result. Silent with --json. */
  note(text: string): void {
    if (!this.json) this.deps.terminal.stderr.write(`${text}\n`);
  }

  /** What goes wrong while something is waited for: on stderr also with --json, where it does not touch the result. */
  warn(text: string): void {
    const { stderr } = this.deps.terminal;
    stderr.write(`${stderr.isTTY === true ? '\r\u001b[2K' : ''}${this.paint('bad', '▲')} ${text.split('\n').map(escape).join('\n')}\n`);
  }

  /** From now on Ctrl-C ends what is under way by a Failure instead of the process. */
  interruptible(): Disposable {
    const stop = this.deps.onSignal('SIGINT', () => this.#interrupt.abort());
    return { [Symbol.dispose]: stop };
  }

  get interrupted(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** Runs `work` below a line on stderr that says, each second anew, what is waited for. Only on a terminal. */
  async watching<T>(line: () => string, work: () => Promise<T>): Promise<T> {
    const { stderr } = this.deps.terminal;
    if (stderr.isTTY !== true || this.json) return work();
    const done = new AbortController();
    const ticking = (async () => {
      while (!done.signal.aborted) {
        stderr.write(`\r\u001b[2K${this.paint('dim', cut(escape(line()), (stderr.columns || 80) - 1))}`);
        await this.deps.sleep(1000, done.signal).catch(() => undefined);
      }
      stderr.write('\r\u001b[2K');
    })();
    try {
      return await work();
    } finally {
      done.abort();
      await ticking;
    }
  }
}
