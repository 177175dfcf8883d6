/** Reads the bodies of messages where they lie, without trusting that they are whole. */
import { code } from './messages.ts';

/** PostgreSQL keeps this many bytes of a statement's or portal's name: two longer ones may be the same to it. */
const NAME_BYTES = 63;
const MOST_MESSAGE = 200;

/** A statement's or portal's name, as far as it counts. */
export function nameAt(bytes: Buffer, from: number, to: number): string {
  if (from >= to || bytes[from] === 0) return '';
  let end = from;
  while (end < to && end - from < NAME_BYTES && bytes[end] !== 0) end++;
  return bytes.toString('latin1', from, end);
}

/** Where what follows a name begins. */
export function skipName(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== 0) at++;
  return Math.min(at + 1, to);
}

/** SQLSTATE and message of an ErrorResponse that may be broken off. */
export function readError(bytes: Buffer, from: number, to: number): [Buffer, Buffer] {
  let state: Buffer = Buffer.from('XX000');
  let message: Buffer = Buffer.alloc(0);
  for (let at = from; at < to && bytes[at] !== 0; ) {
    const zero = bytes.indexOf(0, at);
    const end = zero < 0 || zero > to ? to : zero;
    if (bytes[at] === code('C') && end - at === 6) state = bytes.subarray(at + 1, end);
    else if (bytes[at] === code('M')) message = bytes.subarray(at + 1, Math.min(end, at + 1 + MOST_MESSAGE));
    at = end + 1;
  }
  return [state, message];
}
