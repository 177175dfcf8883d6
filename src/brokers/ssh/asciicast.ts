import type { JsonObject } from '#domain/json.ts';
import { EnteredCommands, sizeOf } from './entered-commands.ts';
import { harmlessLine } from './harmless.ts';
import { MOST_COLUMNS, MOST_ROWS } from './screen.ts';
import type { SshEvent } from './recording.ts';
import type { StreamName } from './recording-format.ts';
import { ReplayFilter } from './replay-filter.ts';

export interface AsciicastOptions {
  readonly title?: string;
  /** Every byte as it was, also what acts on the terminal of whoever watches. */
  readonly raw?: boolean;
}

type EventCode = 'o' | 'i' | 'm' | 'r' | 'x';

/**
 * A channel as an asciicast v3 (docs.asciinema.org/manual/asciicast/v3), line by line: a header, then `[interval, code, data]`.
 * Commands are markers, so that a player can jump to them. Bytes that are no UTF-8 become U+FFFD: the format holds text.
 */
export function* toAsciicast(events: Iterable<SshEvent>, channel: number, options: AsciicastOptions = {}): Generator<string> {
  const cast = new Cast(options);
  for (const event of events) {
    if (event.type === 'header') cast.startedAt = event.header['startedAt'];
    if (!('channel' in event) || event.channel !== channel) continue;
    yield* cast.push(event);
    if (event.type === 'closed') break;
  }
  yield* cast.end();
}

class Cast {
  startedAt: unknown = null;
  readonly #options: AsciicastOptions;
  readonly #index = new EnteredCommands();
  readonly #texts: Readonly<Record<StreamName | 'typed', CastText>>;
  /** In microseconds since the session began; `null` before the header is written. */
  #last: number | null = null;
  #lines: string[] = [];
  /** It stands at the end: output may come behind it. */
  #exit: number | null = null;

  constructor(options: AsciicastOptions) {
    this.#options = options;
    const raw = options.raw ?? false;
    this.#texts = { out: new CastText(raw), err: new CastText(raw), typed: new CastText(true) };
  }

  push(event: SshEvent & { channel: number }): readonly string[] {
    if (event.type === 'opened') this.#header(event.at, event.detail);
    else if (this.#last === null) this.#header(event.at, {});
    switch (event.type) {
      case 'output':
        this.#event(event.at, 'o', this.#texts[event.stream].push(event.bytes));
        break;
      case 'input':
        this.#event(event.at, 'i', this.#texts.typed.push(event.bytes));
        break;
      case 'resize':
        this.#event(event.at, 'r', `${columns(event.cols)}x${rows(event.rows)}`);
        break;
      case 'exit':
        this.#exit = event.code;
        break;
      default:
    }
    for (const { command } of this.#index.push(event)) this.#event(event.at, 'm', harmlessLine(command));
    return this.#take();
  }

  end(): readonly string[] {
    if (this.#last === null) return [];
    const at = this.#last / 1000;
    // What the decoders held: characters that were never completed.
    for (const stream of ['out', 'err'] as const) this.#event(at, 'o', this.#texts[stream].end());
    if (this.#exit !== null) this.#event(at, 'x', String(this.#exit));
    return this.#take();
  }

  #header(at: number, detail: JsonObject): void {
    const { cols, rows: height, term } = sizeOf(detail);
    const started = typeof this.startedAt === 'string' ? Date.parse(this.startedAt) : Number.NaN;
    const header = {
      version: 3,
      term: { cols: columns(cols), rows: rows(height), ...(term === null ? {} : { type: harmlessLine(term) }) },
      ...(Number.isNaN(started) ? {} : { timestamp: Math.floor((started + at) / 1000) }),
      ...(typeof detail['command'] === 'string' ? { command: harmlessLine(detail['command']) } : {}),
      ...(this.#options.title === undefined ? {} : { title: harmlessLine(this.#options.title) }),
    };
    this.#lines.push(JSON.stringify(header));
    this.#last = Math.round(at * 1000);
  }

  #event(at: number, code: EventCode, data: string): void {
    if (data === '' && code !== 'm') return;
    // Differences of whole microseconds: intervals add up to the time that it took.
    const micros = Math.max(Math.round(at * 1000), this.#last ?? 0);
    this.#lines.push(JSON.stringify([(micros - (this.#last ?? 0)) / 1_000_000, code, data]));
    this.#last = micros;
  }

  #take(): readonly string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }
}

/** Bytes of one stream as text; a character that is split between two writes stands in the second. */
class CastText {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #filter: ReplayFilter | null;

  constructor(raw: boolean) {
    this.#filter = raw ? null : new ReplayFilter();
  }

  push(bytes: Uint8Array): string {
    return this.#show(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): string {
    return this.#show(this.#decoder.decode());
  }

  #show(text: string): string {
    return this.#filter === null ? text : this.#filter.push(text);
  }
}

function columns(cols: number): number {
  return Math.min(cols || 80, MOST_COLUMNS);
}

function rows(height: number): number {
  return Math.min(height || 24, MOST_ROWS);
}
