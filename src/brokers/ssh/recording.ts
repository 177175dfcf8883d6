/** Reads recordings of SSH sessions back: docs/recording-format-ssh.md. */
import type { JsonObject } from '#domain/json.ts';
import { BadRecording } from './bad-recording.ts';
import { unpackChunk } from './recording-chunk.ts';
import * as format from './recording-format.ts';
import type { ChannelKind, StreamName } from './recording-format.ts';

/** What happened, `at` milliseconds since the session began. */
export type SshEvent = { readonly at: number } & (
  | { readonly type: 'header'; readonly header: JsonObject }
  | { readonly type: 'end'; readonly reason: string }
  | ({ readonly channel: number } & ChannelEvent)
);

export type ChannelEvent =
  | { readonly type: 'opened'; readonly kind: ChannelKind; readonly detail: JsonObject }
  | { readonly type: 'output'; readonly stream: StreamName; readonly bytes: Uint8Array }
  | { readonly type: 'input'; readonly bytes: Uint8Array }
  /** `enters` is 0 when a line was begun. */
  | { readonly type: 'typed'; readonly enters: number }
  | { readonly type: 'resize'; readonly cols: number; readonly rows: number }
  | { readonly type: 'signal'; readonly name: string }
  | { readonly type: 'exit'; readonly code: number | null; readonly signal: string | null }
  | { readonly type: 'file'; readonly event: JsonObject }
  | ({ readonly type: 'stream'; readonly stream: StreamName } & StreamFacts)
  | { readonly type: 'closed'; readonly bytesIn: number; readonly bytesOut: number };

export interface StreamFacts {
  readonly bytes: number;
  /** Bytes that are not in the recording. */
  readonly left: number;
  /** How many secrets were masked. */
  readonly masked: number;
  /** Of the whole stream, in hex; `null` for a terminal's. */
  readonly sha256: string | null;
}

/**
 * The events of one chunk, made one by one: a chunk of tiny ones takes no more memory than another. Needs none of the other chunks.
 * @throws BadRecording, also in the middle
 */
export function* readChunk(chunk: Uint8Array): Generator<SshEvent> {
  const fields = new Fields(unpackChunk(chunk));
  if (!fields.more) return;
  if (fields.byte() !== format.CLOCK) throw new BadRecording('a chunk does not begin with the time');
  let micros = fields.number();
  while (fields.more) {
    const mark = fields.byte();
    micros += fields.number();
    if (!Number.isSafeInteger(micros)) throw new BadRecording('a time that is too large');
    const at = micros / 1000;
    if (mark === format.HEADER) yield { at, type: 'header', header: fields.json() };
    else if (mark === format.END) yield { at, type: 'end', reason: fields.text().toString() };
    else yield { at, channel: fields.number(), ...channelEvent(mark, fields) };
  }
}

/** Events of chunks in the order of their `seq`; one may be missing. */
export function* readRecording(chunks: Iterable<Uint8Array>): Generator<SshEvent> {
  for (const chunk of chunks) yield* readChunk(chunk);
}

function channelEvent(mark: number, fields: Fields): ChannelEvent {
  switch (mark) {
    case format.OPENED:
      return { type: 'opened', kind: fields.of(format.CHANNEL_KINDS), detail: fields.json() };
    case format.OUTPUT:
      return { type: 'output', stream: 'out', bytes: fields.text() };
    case format.ERROR_OUTPUT:
      return { type: 'output', stream: 'err', bytes: fields.text() };
    case format.INPUT:
      return { type: 'input', bytes: fields.text() };
    case format.TYPED:
      return { type: 'typed', enters: fields.number() };
    case format.RESIZE:
      return { type: 'resize', cols: fields.number(), rows: fields.number() };
    case format.SIGNAL:
      return { type: 'signal', name: fields.text().toString() };
    case format.EXIT: {
      const code = fields.number();
      return { type: 'exit', code: code === 0 ? null : code - 1, signal: fields.text().toString() || null };
    }
    case format.FILE:
      return { type: 'file', event: fields.json() };
    case format.STREAM:
      return {
        type: 'stream', stream: fields.of(format.STREAMS),
        bytes: fields.number(), left: fields.number(), masked: fields.number(), sha256: fields.text().toString('hex') || null,
      };
    case format.CLOSED:
      return { type: 'closed', bytesIn: fields.number(), bytesOut: fields.number() };
    default:
      throw new BadRecording(`an unknown record, ${mark}`);
  }
}

class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new BadRecording('it breaks off inside a record');
    return byte;
  }

  number(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.byte();
      value += (byte & 127) * place;
      if (!Number.isSafeInteger(value)) throw new BadRecording('a number that is too large');
      if (byte < 128) return value;
    }
  }

  text(): Buffer {
    const length = this.number();
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new BadRecording('it breaks off inside a record');
    return this.#bytes.subarray(from, this.#at);
  }

  of<T>(values: readonly T[]): T {
    const value = values[this.number()];
    if (value === undefined) throw new BadRecording('a kind that is not known');
    return value;
  }

  json(): JsonObject {
    let value: unknown;
    try {
      value = JSON.parse(this.text().toString());
    } catch (error) {
      if (error instanceof BadRecording) throw error;
      throw new BadRecording('a record that is not JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BadRecording('a record that is no JSON object');
    return value as JsonObject;
  }
}
