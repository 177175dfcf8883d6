import type { PartPlan } from '#app/ports/connector.ts';
import { markOf } from './marker.ts';
import type { Scope } from './scope.ts';

/** `20261128231500Z`: without its Z sudo reads it in the time zone of whoever calls it (B06). Never later than the deadline. */
export function sudoTime(date: Date): string {
  return `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}

/**
 * A file for /etc/sudoers.d: a line for each command, with an end of its own. The parts come out of strict grammars
 * (scope.ts, names.ts), so that no line can begin another; the host's visudo has the last word (C04). Empty without commands.
 */
export function sudoersFile(plan: PartPlan, account: string, scope: Scope, installation: string): string {
  if (scope.sudo.length === 0) return '';
  const rules = scope.sudo.map((command) => `${account} ALL=(${scope.sudoAs}) NOTAFTER=${sudoTime(plan.deadline)} NOPASSWD: ${commandOf(command)}\n`);
  return `# ${markOf(plan, installation)} fence=${plan.fence}\n${rules.join('')}`;
}

/** A command without arguments would allow any: `""` allows none. Some signs mean something to sudoers itself. */
function commandOf(command: string): string {
  if (command === 'ALL') return 'ALL';
  const [path = '', ...args] = command.split(' ');
  return args.length === 0 ? `${path} ""` : [path, ...args.map((arg) => arg.replaceAll(/[,:=\\]/g, String.raw`\$&`))].join(' ');
}
