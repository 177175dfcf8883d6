import type { Command } from 'commander';
import { EXIT, EXIT_MEANINGS } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { facts } from '../output/facts.ts';
import type { Shell } from '../shell.ts';

export function addHelp(shell: Shell): void {
  shell.leaf(shell.program, {
    use: 'help [topic...]',
    about: 'Explain a command, or a topic: exit-codes, environment',
    examples: ['brevet help request', 'brevet help policy simulate', 'brevet help exit-codes'],
    act: async (run, topic) => {
      if (topic[0] === 'exit-codes') {
        const rows = exitCodeRows();
        return run.answer(Object.fromEntries(rows), () => facts(rows.map(([code, meaning]) => [String(code), meaning]), run.paint, run.columns));
      }
      if (topic[0] === 'environment') {
        return run.answer(Object.fromEntries(ENVIRONMENT), () => facts(ENVIRONMENT, run.paint, run.columns));
      }
      find(shell.program, topic).outputHelp();
    },
  });
}

export const exitCodeRows = (): (readonly [number, string])[] =>
  (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => [EXIT[name], EXIT_MEANINGS[name]] as const);

export const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['BREVET_HOME', 'where the sign-in of this machine is kept (default: $XDG_CONFIG_HOME/brevet, ~/.config/brevet)'],
  ['BREVET_SERVER', 'the server, where it is not the one you signed in at; --server goes before it'],
  ['BREVET_DEBUG', 'set: a defect also shows where in the code it is'],
  ['NO_COLOR', 'set: no colours'],
  ['TZ', 'the zone that times are shown in; --utc goes before it'],
];

function find(program: Command, topic: readonly string[]): Command {
  return topic.reduce((command, word) => {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) throw new Failure(EXIT.usage, `there is no command "${topic.join(' ')}"`, 'brevet help lists them.');
    return next;
  }, program);
}
