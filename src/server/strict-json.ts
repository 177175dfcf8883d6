import { Refusal } from '#domain/refusal.ts';

const DEEPEST = 40;
const MOST_MEMBERS = 50_000;

/**
 * Parses a JSON body more strictly than the language does (H03, F07): no duplicate members, no `__proto__`, no escape in
 * a member's name, no half characters, at most 40 levels, at most 50,000 members, no number that becomes infinite.
 *
 * One pass over the text looks for all that before anything is built, so that a bomb costs no more than its bytes.
 * @throws Refusal `invalid_input`
 */
export function parseStrictJson(text: string): unknown {
  scan(text);
  try {
    return JSON.parse(text);
  } catch {
    throw notJson();
  }
}

const notJson = () => new Refusal('invalid_input', 'the body is not JSON');

/** Knows strings, brackets and commas; whether the rest is JSON, the language's own parser says afterwards. */
function scan(text: string): void {
  const open: (Set<string> | null)[] = [];
  let members = 0;
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '"') {
      const end = endOfString(text, at);
      if (expectsKey) holdKey(open.at(-1), text.slice(at + 1, end));
      else refuseHalves(text, at, end);
      if (expectsKey) members += 1;
      expectsKey = false;
      at = end;
    } else if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : null);
      expectsKey = char === '{';
      if (open.length > DEEPEST) throw new Refusal('invalid_input', `the body is nested deeper than ${DEEPEST} levels`);
    } else if (char === '}' || char === ']') {
      open.pop();
      expectsKey = false;
    } else if (char === ',') {
      expectsKey = open.at(-1) instanceof Set;
      members += 1;
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      at = endOfNumber(text, at);
    }
    if (members > MOST_MEMBERS) throw new Refusal('invalid_input', `the body holds more than ${MOST_MEMBERS} members`);
  }
}

/**
 * No message of ours has a name that needs an escape. V8's parser can read such a name as another one that it has seen
 * before (nodejs/node issue 63785), and two spellings of one name would get past the look for duplicates.
 */
function holdKey(keys: Set<string> | null | undefined, key: string): void {
  if (key.includes('\\')) throw new Refusal('invalid_input', 'the body writes the name of a member with an escape');
  if (key === '__proto__') throw new Refusal('invalid_input', 'the body holds a member that no message has: __proto__');
  if (keys?.has(key)) throw new Refusal('invalid_input', `the body names "${key.slice(0, 60)}" twice`);
  keys?.add(key);
}

/** Half of a surrogate pair is no character: it can be neither hashed nor stored. */
function refuseHalves(text: string, start: number, end: number): void {
  const slice = text.slice(start, end + 1);
  if (!slice.includes('\\u') && slice.isWellFormed()) return;
  let value: unknown;
  try {
    value = JSON.parse(slice);
  } catch {
    throw notJson();
  }
  if (!(value as string).isWellFormed()) throw new Refusal('invalid_input', 'the body holds half a character: a lone surrogate');
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  throw notJson();
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && /[0-9.eE+-]/.test(text[at] as string)) at += 1;
  const number = Number(text.slice(start, at));
  if (!Number.isFinite(number) && !Number.isNaN(number)) throw new Refusal('invalid_input', 'the body holds a number that is too large');
  return at - 1;
}
