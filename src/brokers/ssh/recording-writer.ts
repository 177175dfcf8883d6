import type { Json, JsonObject } from '#domain/json.ts';
import { RecordingWriter } from '../postgres/recording-writer.ts';
import type { MaskRules } from './mask-rules.ts';
import { maskText } from './mask-stream.ts';
import { packChunk } from './recording-chunk.ts';
import { RecordedStream } from './recorded-stream.ts';
import * as format from './recording-format.ts';
import type { ChannelKind, StreamName } from './recording-format.ts';

/** Of the output of a channel without a terminal, out and err each. */
const MOST_OF_A_STREAM = 1024 * 1024;
/** Room for the numbers of a record: a channel, four more, and the text's length. */
const NUMBERS = 64;
const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;

export interface RecordingOptions {
  readonly rules: MaskRules;
  /** Whether what was typed is recorded: passwords, too. */
  readonly keystrokes?: boolean;
  readonly mostOfAStream?: number;
}

interface Channel {
  readonly terminal: boolean;
  readonly streams: Partial<Record<StreamName, RecordedStream>>;
  /** A line was begun and Enter not pressed. */
  typing: boolean;
}

/**
 * Writes the recording of one SSH session: everything that passed through its channels, in the order in which it did. Knows no clock:
 * `tick` says what time it is. Whoever uses it takes a chunk when `size` has reached what a chunk should have, and at short intervals.
 */
export class SshRecordingWriter {
  readonly #records = new RecordingWriter();
  readonly #rules: MaskRules;
  readonly #keystrokes: boolean;
  readonly #most: number;
  readonly #channels = new Map<number, Channel>();
  #now = 0;
  /** Commands, file operations and entered lines in the current chunk. */
  events = 0;

  constructor({ rules, keystrokes = false, mostOfAStream = MOST_OF_A_STREAM }: RecordingOptions) {
    this.#rules = rules;
    this.#keystrokes = keystrokes;
    this.#most = mostOfAStream;
  }

  /** Bytes of the current chunk, not packed. */
  get size(): number {
    return this.#records.size;
  }

  /** Milliseconds since the session began; what follows happened now. */
  tick(now: number): void {
    this.#now = now;
  }

  header(header: JsonObject): void {
    this.#write(format.HEADER, null, [], json({ version: format.VERSION, ...header }));
  }

  /**
   * `channel` is a number that the session uses once. `detail.pty` (`term`, `cols`, `rows`) makes a shell or a command a terminal,
   * whose output is recorded as a whole.
   */
  opened(channel: number, kind: ChannelKind, detail: JsonObject): void {
    const pty = detail['pty'] ?? false;
    this.#channels.set(channel, { terminal: kind === 'shell' || pty !== false, streams: {}, typing: false });
    this.#write(format.OPENED, channel, [format.CHANNEL_KINDS.indexOf(kind)], json(masked(this.#rules, detail)));
    if (kind !== 'shell' && kind !== 'sftp') this.events += 1;
  }

  output(channel: number, bytes: Uint8Array, stream: StreamName): void {
    const { streams, terminal } = this.#channel(channel);
    const recorded = (streams[stream] ??= new RecordedStream(this.#rules, terminal ? Infinity : this.#most));
    this.#output(channel, stream, recorded.take(bytes));
  }

  /**
   * Of what is typed into a terminal the recording says only that a line was begun, and when Enter was pressed, unless keystrokes are
   * recorded. Not how much: that would tell the length of a password.
   */
  input(channel: number, bytes: Uint8Array): void {
    const open = this.#channel(channel);
    if (!open.terminal || bytes.length === 0) return;
    if (!open.typing) this.#write(format.TYPED, channel, [0]);
    if (this.#keystrokes) this.#write(format.INPUT, channel, [], bytes);
    let enters = 0;
    for (const byte of bytes) if (endsLine(byte)) enters += 1;
    if (enters > 0) this.#write(format.TYPED, channel, [enters]);
    open.typing = !endsLine(bytes.at(-1) as number);
    this.events += enters;
  }

  resize(channel: number, cols: number, rows: number): void {
    this.#write(format.RESIZE, channel, [cols, rows]);
  }

  signal(channel: number, name: string): void {
    this.#write(format.SIGNAL, channel, [], Buffer.from(name));
  }

  exit(channel: number, code: number | null, signal: string | null): void {
    this.#write(format.EXIT, channel, [code === null ? 0 : code + 1], Buffer.from(signal ?? ''));
  }

  /** What was done to a file, by SFTP or by scp. */
  sftp(channel: number, event: JsonObject): void {
    this.#write(format.FILE, channel, [], json(event));
    this.events += 1;
  }

  closed(channel: number, bytesIn: number, bytesOut: number): void {
    this.#finish(channel);
    this.#write(format.CLOSED, channel, [bytesIn, bytesOut]);
    this.#channels.delete(channel);
  }

  /** The session is over, and with it every channel that is still open. */
  end(reason: string): void {
    for (const channel of this.#channels.keys()) this.#finish(channel);
    this.#channels.clear();
    this.#write(format.END, null, [], Buffer.from(reason));
  }

  /** The chunk so far, packed; the next one starts empty. `idle` gives the buffer's memory back. */
  take(idle: boolean): Buffer {
    this.events = 0;
    return packChunk(this.#records.take(idle));
  }

  /** One that nobody has opened is recorded all the same. */
  #channel(number: number): Channel {
    const open = this.#channels.get(number);
    if (open) return open;
    const channel = { terminal: false, streams: {}, typing: false };
    this.#channels.set(number, channel);
    return channel;
  }

  #output(channel: number, stream: StreamName, shown: Uint8Array): void {
    if (shown.length > 0) this.#write(stream === 'out' ? format.OUTPUT : format.ERROR_OUTPUT, channel, [], shown);
  }

  /** What the channel's streams held back, and what became of them. */
  #finish(channel: number): void {
    const { streams } = this.#channel(channel);
    for (const [at, name] of format.STREAMS.entries()) {
      const stream = streams[name];
      if (!stream) continue;
      this.#output(channel, name, stream.finish());
      this.#write(format.STREAM, channel, [at, stream.bytes, stream.left, stream.masked], stream.digest() ?? new Uint8Array(0));
    }
  }

  /**
   * Every record is made so: its mark and time, the channel, numbers, a text.
   * @throws when nobody takes what is written: the session can't go on unrecorded
   */
  #write(mark: number, channel: number | null, numbers: readonly number[], text: Uint8Array | null = null): void {
    const room = NUMBERS + (text?.length ?? 0);
    if (this.size + room > format.LARGEST_CHUNK) throw new Error('what is recorded is not taken');
    this.#records.begin(mark, this.#now, room);
    if (channel !== null) this.#records.number(channel);
    for (const number of numbers) this.#records.number(number);
    if (text !== null) this.#records.text(text, 0, text.length);
  }
}

function endsLine(byte: number): boolean {
  return byte === CARRIAGE_RETURN || byte === LINE_FEED;
}

function json(value: Json): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function masked(rules: MaskRules, value: Json): Json {
  if (typeof value === 'string') return maskText(rules, value);
  if (Array.isArray(value)) return value.map((each: Json) => masked(rules, each));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, masked(rules, each)]));
}
