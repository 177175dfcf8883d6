import { Refusal } from '#domain/refusal.ts';
import { readBrevetOptions, type BrevetOptions } from '../carried/brevet-options.ts';

/** What a client's user name asks for, taken apart. */
export interface Wishes extends BrevetOptions {
  readonly target: string;
  /** The account on the target. */
  readonly within: string | null;
}

const LONGEST_NAME = 1024;

/**
 * Takes a user name apart: `target`, or `target+account=deploy+wait=5m`. After the target come `account` and what every client may
 * ask of Brevet; `wait` stands alone, too. `%20` is a space, as in addresses: a reason has several words. A plus, because a slash,
 * a colon or a comma would mean something to scp, rsync, git or ssh's `-J`.
 *
 * @throws Refusal `unauthenticated`, `invalid_input`, `invalid_duration`
 */
export function readWishes(user: string): Wishes {
  if (user.length > LONGEST_NAME) throw new Refusal('invalid_input', 'the user name is too long');
  const [target = '', ...words] = user.split('+');
  if (target === '') throw new Refusal('unauthenticated', 'the user name names no target', { hint: 'Connect as TARGET@BROKER.' });
  const given = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    if (equals < 0 && name !== 'wait') throw new Refusal('invalid_input', `"${name.slice(0, 40)}" has no value`, { hint: 'Write it as TARGET+name=value.' });
    if (given.has(name)) throw new Refusal('invalid_input', `"${name.slice(0, 40)}" is given twice`);
    given.set(name, decoded(word.slice(equals < 0 ? word.length : equals + 1)));
  }
  const within = given.get('account') ?? null;
  given.delete('account');
  return { target, within, ...readBrevetOptions(given, '') };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Refusal('invalid_input', 'a percent sign in the user name stands for no character');
  }
}
