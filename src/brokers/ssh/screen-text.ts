import { sizeOf } from './entered-commands.ts';
import { MOST_COLUMNS, Screen } from './screen.ts';
import type { SshEvent } from './recording.ts';

/** A line that was on the screen. */
export interface ShownLine {
  /** When it was complete, or was about to be overwritten, in milliseconds since the session began. */
  readonly at: number;
  readonly text: string;
}

/** A program that jumps about can show a long line again for a few bytes; so many characters are told for each byte, and some. */
const MOST_PER_BYTE = 32;
const AT_LEAST = 1024 * 1024;
/** Programs that draw the whole screen draw the same lines again and again; so many are remembered. */
const REMEMBERED = 512;

/** The text of one channel, line by line, as it was on the screen; without anything that a terminal would obey. */
export class ScreenText {
  #screen: Screen;
  #told: ShownLine[] = [];
  #now = 0;
  #room = AT_LEAST;
  readonly #drawn = new Set<string>();
  /** Characters that were shown and are not told: see MOST_PER_BYTE. */
  omitted = 0;

  constructor() {
    this.#screen = this.#newScreen(false);
  }

  push(event: SshEvent): readonly ShownLine[] {
    this.#now = event.at;
    if (event.type === 'opened') this.#opened(event);
    else if (event.type === 'resize') this.#screen.resize(event.cols, event.rows);
    else if (event.type === 'output') {
      this.#room += MOST_PER_BYTE * event.bytes.length;
      this.#screen.push(event.bytes);
    }
    return this.#take();
  }

  /** The line that the cursor is in, when nothing more comes. */
  end(): readonly ShownLine[] {
    this.#screen.settle();
    return this.#take();
  }

  #opened(event: Extract<SshEvent, { type: 'opened' }>): void {
    const { cols, rows, term } = sizeOf(event.detail);
    const terminal = event.kind === 'shell' || term !== null || cols > 0;
    this.#screen = this.#newScreen(!terminal);
    this.#screen.resize(terminal ? cols : MOST_COLUMNS, rows);
  }

  #newScreen(returns: boolean): Screen {
    return new Screen({ line: (text) => this.#line(text), lineFeed: () => {}, shellMark: () => {} }, returns);
  }

  #line(text: string): void {
    if (text.trim() === '') return;
    if (this.#screen.alternate) {
      if (this.#drawn.has(text)) return;
      if (this.#drawn.size >= REMEMBERED) this.#drawn.clear();
      this.#drawn.add(text);
    }
    if (text.length > this.#room) {
      this.omitted += text.length;
      return;
    }
    this.#room -= text.length;
    this.#told.push({ at: this.#now, text });
  }

  #take(): readonly ShownLine[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }
}

export function* shownLines(events: Iterable<SshEvent>, channel: number): Generator<ShownLine> {
  const text = new ScreenText();
  for (const event of events) if ('channel' in event && event.channel === channel) yield* text.push(event);
  yield* text.end();
}

export interface FoundLine extends ShownLine {
  readonly channel: number;
}

/** Lines of all channels that hold `words`, upper and lower case alike. At most `most`. */
export function* searchRecording(events: Iterable<SshEvent>, words: string, most: number): Generator<FoundLine> {
  const wanted = words.toLowerCase();
  const texts = new Map<number, ScreenText>();
  let found = 0;
  const matching = (channel: number, lines: readonly ShownLine[]) =>
    lines.filter(({ text }) => text.toLowerCase().includes(wanted)).map((line) => ({ ...line, channel }));
  for (const event of events) {
    if (!('channel' in event)) continue;
    const text = texts.get(event.channel) ?? new ScreenText();
    texts.set(event.channel, text);
    const lines = matching(event.channel, event.type === 'closed' ? [...text.push(event), ...text.end()] : text.push(event));
    if (event.type === 'closed') texts.delete(event.channel);
    for (const line of lines) {
      yield line;
      if (++found >= most) return;
    }
  }
  for (const [channel, text] of texts) {
    for (const line of matching(channel, text.end())) {
      yield line;
      if (++found >= most) return;
    }
  }
}
