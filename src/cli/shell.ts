/** The tree of commands, and what they all share: options, help, errors, exit codes. */
import { Command, CommanderError, Option } from 'commander';
import type { CliDeps } from './deps.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { escape, safeJson } from './output/escape.ts';
import { painter } from './output/paint.ts';
import { type CommonOptions, Run } from './session/run.ts';

export interface Leaf<O> {
  /** Name and arguments as commander writes them: `deny <request>`. */
  readonly use: string;
  /** The first line is the summary in lists. */
  readonly about: string;
  readonly examples: readonly string[];
  options?(command: Command): Command;
  /** Answers the exit code; 0 when nothing. */
  act(run: Run, args: readonly string[], options: O & CommonOptions): Promise<ExitCode | void>;
}

export class Shell {
  readonly program: Command;
  readonly deps: CliDeps;
  readonly examples = new Map<Command, readonly string[]>();
  #exit: ExitCode = EXIT.ok;
  #json = false;

  constructor(deps: CliDeps) {
    this.deps = deps;
    const { stdout, stderr } = deps.terminal;
    this.program = new Command('brevet')
      .description('Just-in-time access that is taken away again, provably.')
      .version(deps.version, '-V, --version', 'print the version')
      .helpOption('-h, --help', 'explain a command')
      .helpCommand(false)
      .enablePositionalOptions()
      .showSuggestionAfterError()
      .showHelpAfterError('(brevet help COMMAND explains it with examples)')
      .configureHelp({ sortSubcommands: false, minWidthToWrap: 20, subcommandTerm: (command) => command.name() })
      .configureOutput({
        writeOut: (text) => void stdout.write(text),
        writeErr: (text) => void (this.#json || stderr.write(text)),
        getOutHelpWidth: () => Math.min(stdout.columns || 100, 120),
        outputError: (text, write) => write(escape(text.trimEnd()).replace(/^error: /, 'brevet: ').replaceAll('\\n', '\n') + '\n'),
      })
      .exitOverride();
  }

  /** A command that only holds others. */
  group(name: string, about: string): Command {
    return this.program.command(name).description(about).usage('COMMAND');
  }

  leaf<O = object>(parent: Command, { use, about, examples, options, act }: Leaf<O>): Command {
    const [summary = about] = about.split('\n');
    const command = parent.command(use).summary(summary).description(about);
    options?.(command);
    addCommonOptions(command);
    this.examples.set(command, examples);
    command.addHelpText('after', () => `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n`);
    return command.action(async () => {
      this.#exit = (await act(new Run(this.deps, command.opts()), command.args, command.opts())) ?? EXIT.ok;
    });
  }

  /** Lets an action that is no leaf say how it ended. */
  async finish(ended: Promise<ExitCode>): Promise<void> {
    this.#exit = await ended;
  }

  /** Runs one command line (without `node` and the script). Never rejects. */
  async run(argv: readonly string[]): Promise<ExitCode> {
    const end = argv.indexOf('--');
    this.#json = argv.slice(0, end === -1 ? undefined : end).includes('--json');
    try {
      await this.program.parseAsync([...argv], { from: 'user' });
      return this.#exit;
    } catch (error) {
      return this.#fail(error);
    }
  }

  #fail(error: unknown): ExitCode {
    if (error instanceof CommanderError) {
      // Commander has printed it; help and version are no failures.
      if (error.exitCode === 0 || error.code === 'commander.help') return error.code === 'commander.help' ? EXIT.usage : EXIT.ok;
      if (this.#json) this.#say(new Failure(EXIT.usage, error.message.replace(/^error: /, '')));
      return EXIT.usage;
    }
    if (error instanceof Failure) {
      this.#say(error);
      return error.exit;
    }
    const { name, message, stack } = error instanceof Error ? error : { name: 'error', message: String(error), stack: '' };
    this.#say(new Failure(EXIT.internal, `a defect: ${name}: ${message}`, 'BREVET_DEBUG=1 shows where. Client and server of different versions? See brevet doctor.'));
    if (this.deps.env['BREVET_DEBUG']) this.deps.terminal.stderr.write(`${stack}\n`);
    return EXIT.internal;
  }

  #say({ message, hint, problem }: Failure): void {
    const { stderr } = this.deps.terminal;
    if (this.#json) return void stderr.write(`${safeJson(problem)}\n`);
    const paint = painter(stderr.isTTY === true && !this.deps.env['NO_COLOR']);
    const field = problem.field === undefined ? '' : ` (${escape(problem.field)})`;
    stderr.write(`${paint('bad', 'brevet:')} ${escape(message)}${field}\n`);
    if (hint) stderr.write(`${paint('dim', '  ' + escape(hint))}\n`);
    // A trace is for whoever looks after the server: of use only where the server failed.
    if (problem.trace && problem.status >= 500) stderr.write(`${paint('dim', `  trace ${escape(problem.trace)}`)}\n`);
  }
}

function addCommonOptions(command: Command): void {
  const common = (flags: string, about: string) => command.addOption(new Option(flags, about).helpGroup('Common options:'));
  common('--json', 'print the exact answer as JSON; errors as problem JSON on stderr');
  common('--utc', 'show times in UTC instead of the local zone');
  common('--server <url>', 'the server, where it is not the one you signed in at');
  common('--insecure-http', 'allow http:// to another machine');
  common('--no-color', 'no colours (also: NO_COLOR)');
}
