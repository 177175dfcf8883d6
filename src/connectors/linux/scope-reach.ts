import type { GrantKind } from '#domain/entitlement.ts';
import { dangerOfCommand, dangerOfGroup } from './dangers.ts';
import type { Scope } from './scope.ts';

/** Whether `narrow` allows nothing that `wide` does not. Decided on the words alone, without asking the target. */
export function within(narrow: Scope, wide: Scope): boolean {
  return (
    subset(narrow.groups, wide.groups) &&
    (subset(narrow.sudo, wide.sudo) || wide.sudo.includes('ALL')) &&
    (narrow.sudo.length === 0 || narrow.sudoAs === wide.sudoAs) &&
    (narrow.dangerous === undefined || wide.dangerous !== undefined) &&
    subset(narrow.allow, wide.allow) &&
    narrow.localForward.every((to) => wide.localForward.some((one) => covers(one, to))) &&
    narrow.remoteForward.every((port) => wide.remoteForward.includes('*') || wide.remoteForward.includes(port))
  );
}

/** Whether `host:port`, with `*` for either, takes in another. */
function covers(wide: string, narrow: string): boolean {
  const [host, port] = split(wide);
  const [narrowHost, narrowPort] = split(narrow);
  return (host === '*' || host === narrowHost) && (port === '*' || port === narrowPort);
}

function split(forward: string): [string, string] {
  const at = forward.lastIndexOf(':');
  return [forward.slice(0, at), forward.slice(at + 1)];
}

const CHANNEL_WORDS = { shell: 'an interactive shell', exec: 'single commands (scp in its old form, rsync and git are such)', sftp: 'files by sftp' };

/** The reach in plain words, a line each. */
export function describe(kind: GrantKind, scope: Scope): readonly string[] {
  const lines: string[] = [];
  if (kind === 'ephemeral_account') lines.push('signs in with an account made for this grant; at its end all of the account\'s processes are ended, and it is deleted with its home');
  else if (kind === 'brokered_session') lines.push('signs in with the target\'s stored account, and may do whatever that account may');
  else lines.push('raises an account that exists; its processes that hold a lent group are ended when the grant ends');
  if (kind !== 'temporary_elevation') for (const one of scope.allow) lines.push(`on the connection: ${CHANNEL_WORDS[one]}`);
  for (const to of scope.localForward) lines.push(`opens connections from the host to ${to}`);
  for (const port of scope.remoteForward) lines.push(port === '*' ? 'takes connections to any port of the host' : `takes connections to port ${port} of the host`);
  for (const group of scope.groups) {
    lines.push(`becomes a member of group ${group}${warning(dangerOfGroup(group))}`);
  }
  for (const command of scope.sudo) {
    const what = command === 'ALL' ? 'every command' : `${command}${command.includes(' ') ? '' : ' (without arguments)'}`;
    lines.push(`runs ${what} as ${scope.sudoAs}, by sudo without a password${warning(dangerOfCommand(command))}`);
  }
  return lines;
}

function warning(danger: string | null): string {
  return danger === null ? '' : `. WARNING: ${danger}; what is done with it can outlive the grant`;
}

function subset(narrow: readonly string[], wide: readonly string[]): boolean {
  return narrow.every((item) => wide.includes(item));
}
