import { Refusal } from '#domain/refusal.ts';

const DEEPEST = 40;
const MOST_MEMBERS = 50_000;

/**
 * Parses a JSON body more strictly than the language does (H03, F07): no duplicate members, no `__proto__`, at most 40
 * levels, at most 50,000 members, no number that becomes infinite. One pass over the text before it is parsed, so that
 * a bomb costs no more than its bytes. @throws Refusal `invalid_input`
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal('invalid_input', 'the body is not JSON');
  }
  scan(text);
  return value;
}

/** Walks text that is known to be well-formed JSON. */
function scan(text: string): void {
  const open: (Set<string> | null)[] = [];
  let members = 0;
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      const end = endOfString(text, at);
      if (expectsKey) {
        members += 1;
        holdKey(open.at(-1), JSON.parse(text.slice(at, end + 1)) as string);
        expectsKey = false;
      }
      at = end;
    } else if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : null);
      expectsKey = char === '{';
      if (open.length > DEEPEST) throw new Refusal('invalid_input', `the body is nested deeper than ${DEEPEST} levels`);
    } else if (char === '}' || char === ']') {
      open.pop();
      expectsKey = false;
    } else if (char === ',') {
      expectsKey = open.at(-1) !== null && open.length > 0;
      members += 1;
    } else if (char !== undefined && (char === '-' || (char >= '0' && char <= '9'))) {
      at = endOfNumber(text, at);
    }
    if (members > MOST_MEMBERS) throw new Refusal('invalid_input', `the body holds more than ${MOST_MEMBERS} members`);
  }
}

function holdKey(keys: Set<string> | null | undefined, key: string): void {
  if (key === '__proto__') throw new Refusal('invalid_input', 'the body holds a member that no message has: __proto__');
  if (keys?.has(key)) throw new Refusal('invalid_input', `the body names "${key.slice(0, 60)}" twice`);
  keys?.add(key);
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && /[0-9.eE+-]/.test(text[at] ?? '')) at += 1;
  if (!Number.isFinite(Number(text.slice(start, at)))) throw new Refusal('invalid_input', 'the body holds a number that is too large');
  return at - 1;
}
