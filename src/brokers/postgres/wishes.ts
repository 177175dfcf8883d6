import { Refusal } from '#domain/refusal.ts';
import { readBrevetOptions, type BrevetOptions } from '../carried/brevet-options.ts';
import { ProtocolError } from './messages.ts';

/** What a client's startup packet asks for, taken apart. */
export interface Wishes extends BrevetOptions {
  /** What follows the last `/` of the user name: a token's handle, unless a certificate speaks for the client. */
  readonly handle: string;
  readonly target: string | null;
  readonly within: string | null;
  readonly application: string | null;
  /** Session settings to hand on to the target, in the client's order. */
  readonly settings: ReadonlyMap<string, string>;
  /** `_pq_.` options that nobody here knows: named in NegotiateProtocolVersion. */
  readonly unknownOptions: readonly string[];
}

/**
 * Who and where the session is on the target, and what runs in it before the first statement, is the grant's to say.
 * The startup packet's own names are among them: written as `-c database=x` or `DataBase` they would stand behind ours in
 * the packet to the target, and there the last one counts.
 */
const REFUSED_SETTINGS = new Set([
  'role', 'session_authorization', 'session_preload_libraries', 'local_preload_libraries', 'user', 'database', 'options', 'replication',
]);

/**
 * Takes a startup packet's parameters apart. `database` is `target` or `target/database`; libpq repeats the user name
 * there when none was given. `options` may hold `-c name=value`, `--name=value`, `wait` and `wait=5m`; `brevet.*` is
 * for Brevet (`wait`, `grant`, `request`, `reason`, `duration`), the rest becomes session settings of the target.
 *
 * @throws Refusal `invalid_input`, `invalid_duration`, `unsupported`, `forbidden`
 */
export function readWishes(parameters: ReadonlyMap<string, string>): Wishes {
  const user = parameters.get('user') ?? '';
  if (user === '') throw new Refusal('unauthenticated', 'no user name was given');
  if (isOn(parameters.get('replication'))) {
    throw new Refusal('unsupported', 'replication connections do not go through Brevet');
  }
  const settings = new Map<string, string>();
  const brevet = new Map<string, string>();
  const unknownOptions: string[] = [];
  const add = (name: string, value: string) => {
    const key = name.toLowerCase();
    if (key.startsWith('brevet.')) brevet.set(key.slice(7), value);
    else if (REFUSED_SETTINGS.has(key)) throw new Refusal('forbidden', `"${key}" can't be set for a session of Brevet's`);
    else settings.set(key, value);
  };
  for (const [name, value] of readOptions(parameters.get('options') ?? '')) add(name, value);
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) unknownOptions.push(name);
    else if (!['user', 'database', 'options', 'replication'].includes(name)) add(name, value);
  }
  const database = parameters.get('database') ?? '';
  const named = database === user ? '' : database;
  const slash = named.indexOf('/');
  return {
    handle: user.slice(user.lastIndexOf('/') + 1),
    target: (slash < 0 ? named : named.slice(0, slash)) || null,
    within: (slash < 0 ? '' : named.slice(slash + 1)) || null,
    ...readBrevetOptions(brevet, 'brevet.'),
    application: settings.get('application_name') ?? null,
    settings,
    unknownOptions,
  };
}

function isOn(replication: string | undefined): boolean {
  return replication !== undefined && !['', 'off', 'no', 'false', '0'].includes(replication.toLowerCase());
}

/** Splits `options` as PostgreSQL does: white space separates, a backslash takes the next character as it is. */
function readOptions(text: string): [string, string][] {
  const words = (text.match(/(?:\\[\s\S]|[^\s\\])+/g) ?? []).map((word) => word.replace(/\\([\s\S])/g, '$1'));
  const pairs: [string, string][] = [];
  for (let at = 0; at < words.length; at++) {
    let word = words[at] as string;
    if (word === '-c') word = words[++at] ?? '';
    else if (word.startsWith('--')) word = word.slice(2);
    else if (word.startsWith('-c')) word = word.slice(2);
    else if (!/^(?:wait(?:=.*)?|brevet\..*)$/.test(word)) {
      throw new Refusal('invalid_input', `the option "${word.slice(0, 40)}" is not understood`, { hint: 'Write options as -c name=value.' });
    }
    const equals = word.indexOf('=');
    let name = equals < 0 ? word : word.slice(0, equals);
    // A long option may be written with dashes (`--work-mem=1MB`), as on PostgreSQL's own command line.
    name = name.replaceAll('-', '_');
    if (name === 'wait') name = 'brevet.wait';
    if (!/^[A-Za-z_][A-Za-z0-9_.$]*$/.test(name)) throw new Refusal('invalid_input', 'an option without a name');
    if (equals < 0 && name !== 'brevet.wait') throw new Refusal('invalid_input', `the option "${name}" has no value`);
    pairs.push([name, equals < 0 ? '' : word.slice(equals + 1)]);
  }
  return pairs;
}

/**
 * The parameters of the upstream startup packet: the ticket's account and pinned settings win over anything the client
 * sent under the same name in any spelling.
 */
export function upstreamParameters(
  wishes: Wishes,
  upstream: { readonly user: string; readonly database: string; readonly settings: Readonly<Record<string, string>> },
): [string, string][] {
  const pinned = Object.entries(upstream.settings);
  const names = new Set(pinned.map(([name]) => name.toLowerCase()));
  const free = [...wishes.settings].filter(([name]) => !names.has(name));
  const all: [string, string][] = [['user', upstream.user], ['database', upstream.database], ...free, ...pinned];
  if (all.some(([name]) => name === '')) throw new ProtocolError('a startup parameter without a name');
  return all;
}
