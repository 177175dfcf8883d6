import type { Recorder } from '../carried/recorder.ts';
import { widthOf } from './characters.ts';
import { LongText } from './long-text.ts';
import { speaksOfPasswords } from './mask.ts';
import { maskByReadings, otherReadings, StreamByReadings, type Reading } from './readings.ts';
import * as format from './recording-format.ts';
import type { RecordingWriter } from './recording-writer.ts';

/** Records the texts of a session's statements, masked as far as they have to be. */
export class Texts {
  /** A password was typed in this session: no error's message is recorded any more, as it may quote one. */
  secretive = false;
  /**
   * A text can't be recorded: it may be read in two ways, and either the code of one would go unseen or the password of the other
   * be shown. It must not reach the target whole.
   */
  unreadable = false;
  readonly #recorder: Recorder<RecordingWriter>;
  readonly #mask: boolean;
  #count = 0;
  #encoding = 'UTF8';
  #likely: Reading = { backslashes: false, width: 'one' };

  constructor(recorder: Recorder<RecordingWriter>, mask: boolean) {
    this.#recorder = recorder;
    this.#mask = mask;
  }

  /** A setting by which the target reads text, as it reports it. */
  setting(name: string, value: string, now: number): void {
    if (name === 'standard_conforming_strings') this.#likely = { ...this.#likely, backslashes: value !== 'on' };
    if (name !== 'client_encoding' || value === this.#encoding) return;
    this.#encoding = value;
    this.#likely = { ...this.#likely, width: widthOf(value) };
    const bytes = Buffer.from(value.slice(0, 64), 'latin1');
    this.#recorder.writer.begin(format.ENCODING, now, bytes.length);
    this.#recorder.writer.text(bytes, 0, bytes.length);
  }

  /** Records a statement's text, up to its zero, and answers its number. `settled`: the settings it will be read by are known. */
  record(bytes: Buffer, from: number, to: number, flags: number, { now, settled }: { readonly now: number; readonly settled: boolean }): number {
    const zero = bytes.indexOf(0, from);
    const end = zero >= 0 && zero < to ? zero : to;
    const spoken = speaksOfPasswords(bytes, from, end);
    this.secretive ||= spoken;
    const hide = this.#mask || spoken;
    const [text, flag] = hide ? this.#masked(bytes.subarray(from, end), spoken, settled) : [bytes, 0];
    const writer = this.#recorder.writer;
    writer.begin(format.TEXT, now, end - from + 16);
    writer.number(++this.#count);
    writer.byte(flags | flag);
    if (hide) writer.text(text, 0, text.length);
    else writer.text(text, from, end);
    this.#recorder.wrote();
    return this.#count;
  }

  /** What may be shown of a text, and the flags that say so. */
  #masked(text: Buffer, spoken: boolean, settled: boolean): [Buffer, number] {
    const readings = [this.#likely, ...(settled ? [] : otherReadings(this.#likely, text))];
    const { shown, incomplete, split, obscure } = maskByReadings(text, 0, text.length, this.#mask ? 'literals' : 'passwords', readings);
    const flags = format.MASKED | (incomplete ? format.TRUNCATED : 0);
    if (!obscure && !(split && spoken)) return [shown, flags];
    this.unreadable = true;
    return [Buffer.alloc(0), flags | format.TRUNCATED];
  }

  /** Begins a text that comes in pieces. */
  begin(flags: number, { now, settled }: { readonly now: number; readonly settled: boolean }): LongText {
    const stream = new StreamByReadings(this.#mask ? 'literals' : 'passwords', [this.#likely, ...(settled ? [] : otherReadings(this.#likely, null))]);
    return new LongText(this.#recorder, ++this.#count, flags, stream, now);
  }

  /** What a text that came in pieces turned out to be. */
  ended(long: LongText): void {
    this.secretive ||= long.spoke;
    this.unreadable ||= long.split;
  }
}
