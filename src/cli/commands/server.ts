import type { Shell } from '../shell.ts';

export function addServer(shell: Shell): void {
  const command = shell.program
    .command('server')
    .summary('Run Brevet itself')
    .description('Run Brevet itself. Everything behind `server` is for it: see brevet server --help')
    .argument('[args...]', 'what the server takes')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action((args: string[]) => shell.finish(shell.deps.startServer(args)));
  shell.examples.set(command, ['brevet server', 'brevet server --help']);
}
