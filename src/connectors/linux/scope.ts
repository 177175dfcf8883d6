import { z } from 'zod';
import type { GrantKind } from '#domain/entitlement.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { plainText } from '../plain-text.ts';
import { refuseIssue } from '../refuse-issue.ts';
import { dangerOfCommand, dangerOfGroup } from './dangers.ts';
import { isLogin, isPath, objectOf } from './names.ts';

/** What a client may do over its connection. Each has to be named; none comes with another. */
export const CHANNELS = ['shell', 'exec', 'sftp'] as const;
export type Channel = (typeof CHANNELS)[number];

/**
 * What a grant allows, normalised: every list sorted and without doubles, so that equal scopes are equal JSON. In YAML:
 *
 *     groups: [deploy]                                  # becomes a member of these groups
 *     sudo: [/usr/bin/systemctl restart nginx]          # may run exactly this, with exactly these arguments
 *     sudoAs: root                                      # as whom
 *     dangerous: allowed                                # also what can outlive or widen the grant
 *     allow: [shell, exec, sftp]                        # on the connection; shell and exec unless told
 *     localForward: ["db1.example.com:5432"]            # connections from the host to there
 *     remoteForward: ["8080"]                           # connections to this port of the host, back to the client
 */
export interface Scope {
  readonly groups: readonly string[];
  /** An absolute path and its arguments, single spaces between; or `ALL`. */
  readonly sudo: readonly string[];
  readonly sudoAs: string;
  readonly dangerous?: 'allowed';
  readonly allow: readonly Channel[];
  readonly localForward: readonly string[];
  readonly remoteForward: readonly string[];
}

/** Nothing that sudo reads as a pattern, a list, an alias or a digest, and nothing that a shell would. */
const ARGUMENT = /^[A-Za-z0-9_@%+./-][A-Za-z0-9_@%+.,:=/-]*$/;
const MOST_COMMAND = 500;

const login = z.string().refine(isLogin).describe('a name of lower-case letters, digits and ._-, of at most 32 characters');
const command = z.string().transform((text, context) => {
  const fault = faultOfCommand(text);
  if (fault === null) return text;
  context.addIssue({ code: 'custom', message: fault });
  return z.NEVER;
}).describe('an absolute path with its arguments, such as /usr/bin/systemctl restart nginx');
const list = <T extends z.ZodType<string>>(of: T, most = 100) => z.array(of).max(most).default([]).transform((items) => [...new Set(items)].sort());
const forward = z.string().regex(/^(?:[a-z0-9](?:[a-z0-9.:-]{0,252}[a-z0-9])?|\*):(?:[1-9]\d{0,4}|\*)$/i).describe('host:port, with * for any');
const listen = z.string().regex(/^(?:[1-9]\d{0,4}|\*)$/).describe('a port, or *');

const SCOPE = z.strictObject({
  groups: list(login),
  sudo: list(command),
  sudoAs: login.default('root'),
  dangerous: z.literal('allowed').optional(),
  allow: z.array(z.enum(CHANNELS)).max(CHANNELS.length).default(['shell', 'exec']).transform((items) => CHANNELS.filter((one) => items.includes(one))),
  localForward: list(forward),
  remoteForward: list(listen),
});

/** @throws Refusal `invalid_input`, `dangerous_scope` with `field` */
export function parseScope(kind: GrantKind, scope: unknown): Scope & JsonObject {
  const parsed = SCOPE.safeParse(scope);
  if (!parsed.success) throw refuseIssue(SCOPE, parsed.error, scope, 'the scope');
  const { dangerous, ...rest } = parsed.data;
  const result = { ...rest, ...(dangerous && { dangerous }) };
  checkDanger(result);
  checkSense(kind, result);
  return result;
}

/** Why a command can't be in a rule; `null` when it can. */
function faultOfCommand(text: string): string | null {
  if (text === 'ALL') return null;
  if (text.length > MOST_COMMAND) return `it is longer than ${MOST_COMMAND} characters`;
  const [path = '', ...args] = text.split(' ');
  if (/[*?[\]!^]/.test(text)) return 'it holds a pattern: every command is written out';
  if (!isPath(path)) return 'it does not begin with an absolute path';
  const odd = args.find((arg) => !ARGUMENT.test(arg));
  if (odd !== undefined) return `an argument is of other than letters, digits and _@%+.,:=/-, or empty: ${JSON.stringify(odd)}`;
  if (args.some((arg) => arg.split('/').includes('..'))) return 'an argument leads upwards (..)';
  return null;
}

function checkDanger(scope: Scope): void {
  const reasons = [
    ...scope.groups.map((group) => ['/groups', group, dangerOfGroup(group)] as const),
    ...scope.sudo.map((one) => ['/sudo', one, dangerOfCommand(one)] as const),
  ];
  const found = reasons.find(([, , why]) => why !== null);
  if (found !== undefined && scope.dangerous === undefined) {
    const [field, what, why] = found;
    const verb = field === '/groups' ? `the group ${what}` : what;
    throw new Refusal('dangerous_scope', plainText(`${verb} ${why}: what is done with it can outlive the grant`), {
      field, hint: 'Say dangerous: allowed if that is meant; reviewers are warned then.',
    });
  }
  // Whoever is one of Brevet's accounts, or is lent one's group, shares what belongs to another grant.
  const own = [...scope.groups, scope.sudoAs].find((name) => objectOf(name) !== null);
  if (own !== undefined) throw new Refusal('dangerous_scope', `${own} is not one to lend`, { field: scope.groups.includes(own) ? '/groups' : '/sudoAs' });
}

function checkSense(kind: GrantKind, scope: Scope): void {
  const rights = scope.groups.length + scope.sudo.length;
  if (kind === 'brokered_session' && rights > 0) throw invalid('', 'a brokered session is limited by its stored account; groups and sudo can\'t be said here');
  if (kind === 'temporary_elevation' && rights === 0) throw invalid('', 'raises nothing: name groups or sudo');
  if (kind !== 'temporary_elevation' && scope.allow.length + scope.localForward.length + scope.remoteForward.length === 0) throw invalid('/allow', 'allows nothing on the connection');
  if (scope.sudoAs !== 'root' && scope.sudo.length === 0) throw invalid('/sudoAs', 'is about sudo, and the scope names no command');
}

function invalid(field: string, message: string): Refusal {
  return new Refusal('invalid_input', `the scope${field && ` at ${field}`}: ${message}`, { field });
}
