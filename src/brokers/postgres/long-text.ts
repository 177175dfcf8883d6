import { createHash } from 'node:crypto';
import type { Recorder } from '../carried/recorder.ts';
import type { StreamByReadings } from './readings.ts';
import * as format from './recording-format.ts';
import type { RecordingWriter } from './recording-writer.ts';

/**
 * So much of one statement is recorded: more than migrations and dumps send in one, and little enough for whoever reads
 * the recording to hold. Behind it only the end is kept: a statement that is longer can't hide what it ends with.
 */
export const MOST_TEXT = 16 * 1024 * 1024;
export const TAIL = 64 * 1024;
/** A record that fits a chunk. */
const PIECE = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * Records one long statement while it passes: masked, in pieces, the recorder's window holding the client back; with
 * the last piece its length, and the SHA-256 of what would be shown were it recorded whole. The hash is that of the masked text:
 * one of the text itself would let a reader try out what was hidden.
 */
export class LongText {
  readonly id: number;
  readonly #recorder: Recorder<RecordingWriter>;
  readonly #mask: StreamByReadings;
  readonly #hash = createHash('sha256');
  #length = 0;
  #recorded = 0;
  #beyond = 0;
  #tail = NOTHING;
  #ended = false;

  constructor(recorder: Recorder<RecordingWriter>, id: number, flags: number, mask: StreamByReadings, now: number) {
    this.#recorder = recorder;
    this.#mask = mask;
    this.id = id;
    const { writer } = recorder;
    writer.begin(format.TEXT, now, 16);
    writer.number(id);
    writer.byte(flags | format.PIECES);
    writer.number(0);
  }

  /** Whether it has spoken of passwords so far. */
  get spoke(): boolean {
    return this.#mask.spoke;
  }

  /** Whether it can be read in two ways: known with its last piece. */
  get split(): boolean {
    return this.#mask.split;
  }

  /** Takes the next piece of the message: the text ends at its zero, whatever stands behind it. */
  push(bytes: Buffer, from: number, to: number, last: boolean, now: number): void {
    if (!this.#ended) {
      const zero = bytes.indexOf(0, from);
      this.#ended = last || (zero >= 0 && zero < to);
      const end = zero >= 0 && zero < to ? zero : to;
      this.#length += end - from;
      this.#record(this.#mask.push(bytes, from, end, this.#ended), now);
    }
    if (last) this.#end(now);
  }

  #record(shown: Buffer, now: number): void {
    this.#hash.update(shown);
    const fits = Math.min(shown.length, MOST_TEXT - this.#recorded);
    this.#recorded += fits;
    const { writer } = this.#recorder;
    for (let at = 0; at < fits; at += PIECE) {
      const end = Math.min(fits, at + PIECE);
      writer.begin(format.PIECE, now, end - at + 16);
      writer.number(this.id);
      writer.text(shown, at, end);
      this.#recorder.wrote();
    }
    if (fits === shown.length) return;
    this.#beyond += shown.length - fits;
    this.#tail = Buffer.from(Buffer.concat([this.#tail, shown.subarray(fits)]).subarray(-TAIL));
  }

  #end(now: number): void {
    const left = this.#beyond - this.#tail.length;
    const { writer } = this.#recorder;
    writer.begin(format.WHOLE, now, this.#tail.length + 80);
    writer.number(this.id);
    writer.byte((this.#mask.hid ? format.MASKED : 0) | (left > 0 || this.#mask.incomplete ? format.TRUNCATED : 0));
    writer.number(this.#length);
    writer.number(left);
    writer.text(this.#tail, 0, this.#tail.length);
    writer.text(this.#hash.digest(), 0, 32);
    this.#recorder.wrote();
  }
}
