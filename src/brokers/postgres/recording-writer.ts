import { CLOCK } from './recording-format.ts';

const FIRST_SIZE = 2048;

/**
 * Writes records into one growing buffer. A chunk begins with the absolute time, so that it can be read when an
 * earlier one is missing; within it times are differences.
 */
export class RecordingWriter {
  #bytes = Buffer.allocUnsafe(0);
  #at = 0;
  #last = 0;
  /** Executions that ended in the current chunk. */
  events = 0;

  get size(): number {
    return this.#at;
  }

  /** Starts a record at `now` (milliseconds since the session began) and makes room for `room` further bytes. */
  begin(mark: number, now: number, room: number): void {
    const micros = Math.max(Math.round(now * 1000), this.#last);
    this.#room(room + 32);
    if (this.#at === 0) {
      this.#bytes[this.#at++] = CLOCK;
      this.number(micros);
      this.#last = micros;
    }
    this.#bytes[this.#at++] = mark;
    this.number(micros - this.#last);
    this.#last = micros;
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** LEB128, up to 2^53. At most 8 bytes, which `begin` must have made room for. */
  number(value: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      bytes[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at;
  }

  /** A length and the bytes. Short ones by hand: a call into the runtime costs more than they do. */
  text(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.number(length);
    if (length > 96) {
      this.#bytes.set(source.subarray(from, to), this.#at);
      this.#at += length;
      return;
    }
    const bytes = this.#bytes;
    let at = this.#at;
    for (let read = from; read < to; read++) bytes[at++] = source[read] as number;
    this.#at = at;
  }

  /** The chunk so far, as a copy of its own; the next one starts empty. `idle` gives the buffer's memory back. */
  take(idle: boolean): Buffer {
    const chunk = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    this.events = 0;
    if (idle) this.#bytes = Buffer.allocUnsafe(0);
    return chunk;
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(Math.max(FIRST_SIZE, 2 * this.#bytes.length, this.#at + more));
    this.#bytes.copy(bytes, 0, 0, this.#at);
    this.#bytes = bytes;
  }
}
