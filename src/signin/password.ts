/**
 * Passwords: Argon2id (RFC 9106) with the parameters that the OWASP Password Storage Cheat Sheet names as equal in
 * strength to 46 MiB in one pass, stored as a PHC string. About 47 ms and 19 MiB for each hash on the reference machine.
 */
import { argon2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '#app/ports/runtime.ts';
import { Refusal } from '#domain/refusal.ts';

const argon2Async = promisify(argon2);

interface Cost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}
const COST: Cost = { memory: 19_456, passes: 2, parallelism: 1 };
const SALT = 16;
const HASH = 32;

export interface PasswordHasher {
  /** A PHC string, `$argon2id$v=19$m=...$salt$hash`. Give it a password that `preparePassword` has passed. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the one behind `stored`; with `null` (nobody of that name, or no password set) the same
   * work is done for a no, so that the time taken names nobody.
   * @throws Refusal `rate_limited` when too many are waiting
   */
  verify(stored: string | null, password: string): Promise<boolean>;
}

export interface HasherOptions {
  readonly random: Random;
  /** Hashes at once: memory is this many times 19 MiB, and as many of Node's four pool threads are busy. */
  readonly atOnce?: number;
  /** Hashes that may wait for a turn; beyond that the answer is `rate_limited`, at once. */
  readonly waiting?: number;
}

export function makePasswordHasher({ random, atOnce = 2, waiting = 32 }: HasherOptions): PasswordHasher {
  const takeTurns = turns(atOnce, waiting);
  // Nobody knows a password for it: the hash is random, too.
  const nobodys = phc(COST, random.bytes(SALT), random.bytes(HASH));
  return {
    hash: (password) => {
      const salt = random.bytes(SALT);
      return takeTurns(async () => phc(COST, salt, await derive(password, salt, COST)));
    },
    verify: (stored, password) =>
      takeTurns(async () => {
        const { cost, salt, hash } = parsePhc(stored ?? nobodys);
        const text = normalised(password);
        const fits = text.length <= LONGEST;
        const same = timingSafeEqual(await derive(fits ? text : '', salt, cost), hash);
        return same && fits && stored !== null;
      }),
  };
}

/** Whether a verifier was made with other parameters than today's: hash again at the next successful sign-in. */
export function isOutdated(stored: string): boolean {
  const { cost } = parsePhc(stored);
  return cost.memory !== COST.memory || cost.passes !== COST.passes || cost.parallelism !== COST.parallelism;
}

const SHORTEST = 12;
const LONGEST = 256;
/** What lists of stolen passwords are full of, once digits and signs around it are taken away. */
const STEMS = ['password', 'passwort', 'qwertyuiop', 'qwertzuiop', 'asdfghjkl', 'letmein', 'welcome', 'iloveyou', 'changeme', 'administrator', 'brevet', 'default', 'summer', 'winter', 'monkey', 'dragon', 'football', 'secret'];

/**
 * A new password in the form to hash (NFKC), or a refusal. Length is what counts (NIST SP 800-63B section 3.1.1.2): no
 * rules about kinds of characters, but none that a guesser would try first.
 * @param about words that the password must be more than: the person's name, display name, organisation
 * @throws Refusal `invalid_input` for the field `/password`
 */
export function preparePassword(password: string, about: readonly string[] = []): string {
  const text = normalised(password);
  const length = [...text].length;
  if (length < SHORTEST) throw weak(`a password has at least ${SHORTEST} characters`);
  if (length > LONGEST || text.length > LONGEST) throw weak(`a password has at most ${LONGEST} characters`);
  if (/[\p{Cc}\p{Cs}]/u.test(text)) throw weak('a password holds no control characters');
  const lower = text.toLowerCase();
  if (new Set(lower).size < 5) throw weak('too few different characters');
  if (runs(lower) < length / 2) throw weak('a row of characters in order is easily guessed');
  let rest = lower.replaceAll('@', 'a').replaceAll('0', 'o').replaceAll('$', 's');
  for (const word of [...STEMS, ...about.flatMap((words) => words.toLowerCase().split(/[^\p{L}\p{N}]+/u))]) {
    if (word.length >= 3) rest = rest.replaceAll(word, '');
  }
  if (rest.replace(/[\p{N}\p{P}\p{S}\s]/gu, '').length < 4 && rest.length < lower.length) {
    throw weak('it is little more than a word that is tried first');
  }
  return text;
}

function weak(message: string): Refusal {
  return new Refusal('invalid_input', message, { field: '/password', hint: 'Four or five words that do not belong together make a good one.' });
}

/** How many characters do not continue a row such as `abc`, `321`, `aaa`. */
function runs(text: string): number {
  const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  return codes.filter((code, i) => i < 2 || code - (codes[i - 1] ?? 0) !== (codes[i - 1] ?? 0) - (codes[i - 2] ?? 0) || Math.abs(code - (codes[i - 1] ?? 0)) > 1).length;
}

function normalised(password: string): string {
  return password.normalize('NFKC');
}

function derive(password: string, salt: Uint8Array, cost: Cost): Promise<Buffer> {
  return argon2Async('argon2id', { message: password, nonce: salt, tagLength: HASH, ...cost });
}

function phc({ memory, passes, parallelism }: Cost, salt: Uint8Array, hash: Uint8Array): string {
  const [saltText, hashText] = [salt, hash].map((bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, ''));
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${saltText}$${hashText}`;
}

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

function parsePhc(stored: string): { cost: Cost; salt: Uint8Array; hash: Uint8Array } {
  const match = PHC.exec(stored);
  if (!match) throw new Error('a stored password verifier is not one of ours');
  const [memory, passes, parallelism] = [match[1], match[2], match[3]].map(Number) as [number, number, number];
  return {
    cost: { memory, passes, parallelism },
    salt: Buffer.from(match[4] as string, 'base64'),
    hash: Buffer.from(match[5] as string, 'base64'),
  };
}

/** Lets at most `atOnce` run and `waiting` wait, first come, first served. */
function turns(atOnce: number, waiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (running >= atOnce) {
      if (queue.length >= waiting) {
        throw new Refusal('rate_limited', 'too many people are signing in at this moment', { hint: 'Try again in a few seconds.' });
      }
      await new Promise<void>((resolve) => queue.push(resolve)); // whoever ends hands over its place
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
