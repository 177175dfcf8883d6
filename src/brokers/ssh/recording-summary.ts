import type { JsonObject } from '#domain/json.ts';
import { BadRecording } from './bad-recording.ts';
import type { SshEvent, StreamFacts } from './recording.ts';
import type { ChannelKind, StreamName } from './recording-format.ts';

/** What a session was: which channels it had, and what became of each. */
export interface RecordingSummary {
  readonly header: JsonObject | null;
  readonly channels: readonly RecordedChannel[];
  /** Why the session ended; `null` when the recording breaks off. */
  readonly ended: string | null;
  /** Of the last event, in milliseconds since the session began. */
  readonly lastAt: number;
}

export interface RecordedChannel {
  readonly channel: number;
  /** `null` when the chunk is missing in which it was opened. */
  readonly kind: ChannelKind | null;
  readonly detail: JsonObject;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly streams: Readonly<Partial<Record<StreamName, StreamFacts>>>;
  /** File operations, and times Enter was pressed. */
  readonly files: number;
  readonly enters: number;
}

const MOST_CHANNELS = 100_000;

type Writable<T> = { -readonly [key in keyof T]: T[key] };

/** @throws BadRecording when it has more channels than a reading may hold */
export function summarize(events: Iterable<SshEvent>): RecordingSummary {
  const channels = new Map<number, Writable<RecordedChannel>>();
  const summary: Writable<RecordingSummary> = { header: null, channels: [], ended: null, lastAt: 0 };
  for (const event of events) {
    summary.lastAt = event.at;
    if (event.type === 'header') summary.header = event.header;
    else if (event.type === 'end') summary.ended = event.reason;
    else {
      let channel = channels.get(event.channel);
      if (!channel) {
        if (channels.size >= MOST_CHANNELS) throw new BadRecording('too many channels for one reading');
        channel = unseen(event.channel, event.at);
        channels.set(event.channel, channel);
      }
      note(channel, event);
    }
  }
  return { ...summary, channels: [...channels.values()] };
}

function unseen(channel: number, at: number): Writable<RecordedChannel> {
  return { channel, kind: null, detail: {}, openedAt: at, closedAt: null, exit: null, bytesIn: 0, bytesOut: 0, streams: {}, files: 0, enters: 0 };
}

function note(channel: Writable<RecordedChannel>, event: Exclude<SshEvent, { type: 'header' | 'end' }>): void {
  switch (event.type) {
    case 'opened':
      channel.kind = event.kind;
      channel.detail = event.detail;
      return;
    case 'exit':
      channel.exit = { code: event.code, signal: event.signal };
      return;
    case 'stream': {
      const { bytes, left, masked, sha256 } = event;
      channel.streams = { ...channel.streams, [event.stream]: { bytes, left, masked, sha256 } };
      return;
    }
    case 'closed':
      channel.closedAt = event.at;
      channel.bytesIn = event.bytesIn;
      channel.bytesOut = event.bytesOut;
      return;
    case 'file':
      channel.files += 1;
      return;
    case 'typed':
      channel.enters += event.enters;
      return;
    default:
  }
}
