/** Writes docs/cli.md from the tree of commands, so that the reference can not drift from what runs. */
import type { Command, Option } from 'commander';
import { ENVIRONMENT, exitCodeRows } from './commands/help.ts';
import type { Shell } from './shell.ts';

const COMMON = 'Common options:';

export function writeReference({ program, examples }: Shell): string {
  const leaves = collect(program);
  const common = leaves.flatMap(({ command }) => command.options.filter((option) => option.helpGroupHeading === COMMON)).slice(0, 5);
  return [
    '# The `brevet` command',
    '<!-- Written by `UPDATE_DOCS=1 node --test src/cli/reference.test.ts` from src/cli; a test holds it up to date. -->',
    program.description(),
    'Every command explains itself with `--help`. What a command finds goes to standard output, everything else to standard error. Waits show a live line on a terminal only.',
    '## Options of every command',
    optionTable(common),
    ...leaves.map(({ path, command }) => section(path, command, examples.get(command) ?? [])),
    '## Exit codes',
    '`brevet psql` ends with the exit code of psql once that has started.',
    rows(['code', 'meaning'], exitCodeRows().map(([code, meaning]) => [String(code), meaning])),
    '## Environment',
    rows(['variable', 'meaning'], ENVIRONMENT.map(([name, meaning]) => [`\`${name}\``, meaning])),
    '',
  ].join('\n\n').replace(/\n+$/, '\n');
}

interface Found {
  readonly path: string;
  readonly command: Command;
}

/** Every command that does something, in the order of the help. */
function collect(command: Command, above = ''): Found[] {
  return command.commands.flatMap((each) => {
    const path = above === '' ? each.name() : `${above} ${each.name()}`;
    const group = each.commands.length > 0 && each.options.length === 0;
    return [...(group ? [] : [{ path, command: each }]), ...collect(each, path)];
  });
}

function section(path: string, command: Command, examples: readonly string[]): string {
  const own = command.options.filter((option) => option.helpGroupHeading !== COMMON);
  const operands = command.registeredArguments.map((argument) => {
    const name = argument.name() + (argument.variadic ? '...' : '');
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const [summary, ...more] = command.description().split('\n');
  return [
    `## brevet ${path}`,
    `\`brevet ${[path, ...operands].join(' ')}\``,
    [`${summary}.`.replace(/([.)])\.$/, '$1'), ...more].join('\n\n'),
    ...(own.length > 0 ? [optionTable(own)] : []),
    ...(examples.length > 0 ? [['```sh', ...examples, '```'].join('\n')] : []),
  ].join('\n\n');
}

function optionTable(options: readonly Option[]): string {
  return rows(['option', 'meaning'], options.map((option) => [`\`${option.flags}\``, `${option.description}${option.mandatory ? ' (required)' : ''}`]));
}

function rows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...body.map(line)].join('\n');
}
