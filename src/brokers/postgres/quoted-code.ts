import { continued, DOLLARS } from './tokens.ts';

const QUOTE = 0x27;
const BACKSLASH = 0x5c;

/** The code that a literal quotes, and for each of its bytes, and its end, where in the source it is written. */
export interface QuotedCode {
  readonly code: Buffer;
  readonly places: Uint32Array;
}

/** Takes the code out of the string, or dollar quote, `source[at, end)`, which may be broken off. */
export function quotedCode(kind: number, source: Uint8Array, at: number, end: number, backslashes: boolean): QuotedCode {
  return kind === DOLLARS ? dollarQuoted(source, at, end) : stringQuoted(source, at, end, backslashes);
}

function dollarQuoted(source: Uint8Array, at: number, end: number): QuotedCode {
  const whole = Buffer.from(source.buffer, source.byteOffset + at, end - at);
  const tag = whole.subarray(0, whole.indexOf('$', 1) + 1);
  const closed = whole.length >= 2 * tag.length && whole.subarray(-tag.length).equals(tag);
  const code = whole.subarray(tag.length, closed ? whole.length - tag.length : whole.length);
  return { code, places: new Uint32Array(code.length + 1).map((_, n) => at + tag.length + n) };
}

function stringQuoted(source: Uint8Array, at: number, end: number, backslashes: boolean): QuotedCode {
  const code = Buffer.alloc(end - at);
  const places = new Uint32Array(end - at + 1);
  let fill = 0;
  let read = at + 1;
  while (read < end) {
    places[fill] = read;
    const byte = source[read] as number;
    if (byte === BACKSLASH && backslashes) {
      const [value, length] = escaped(source, read, end);
      // What an escape says in several bytes is written in one place.
      places.fill(read, fill, fill + value.length);
      fill += value.copy(code, fill);
      read += length;
    } else if (byte !== QUOTE || source[read + 1] === QUOTE) {
      code[fill++] = byte;
      read += byte === QUOTE ? 2 : 1;
    } else {
      const next = continued(source, read + 1, end);
      if (next < 0) break;
      read = next + 1;
    }
  }
  places[fill] = Math.min(read, end);
  return { code: code.subarray(0, fill), places: places.subarray(0, fill + 1) };
}

const PLAIN: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
const ESCAPE = /^\\(?:([0-7]{1,3})|x([\da-f]{1,2})|u([\da-f]{4})|U([\da-f]{8})|([\s\S]?))/i;

/** What a backslash and the bytes behind it say, and how many they are. */
function escaped(source: Uint8Array, at: number, end: number): [Buffer, number] {
  const text = Buffer.from(source.subarray(at, Math.min(end, at + 10))).toString('latin1');
  const [whole, octal, hex, short, long, other = ''] = ESCAPE.exec(text) as RegExpExecArray;
  if (octal) return [Buffer.of(Number.parseInt(octal, 8) & 255), whole.length];
  if (hex) return [Buffer.of(Number.parseInt(hex, 16)), whole.length];
  const point = Number.parseInt(short ?? long ?? '', 16);
  if (point <= 0x10ffff) return [Buffer.from(String.fromCodePoint(point)), whole.length];
  return [Buffer.from(PLAIN[other] ?? other, 'latin1'), Math.max(whole.length, 1)];
}
