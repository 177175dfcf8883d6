/** Reads recordings of PostgreSQL sessions back: docs/recording-format-postgres.md. */
import { webEncoding } from './encodings.ts';
import * as format from './recording-format.ts';

export interface RecordingHeader {
  readonly version: number;
  readonly session: string;
  readonly grant: string;
  readonly principal: string;
  readonly entitlement: string;
  readonly database: string;
  readonly application: string | null;
  readonly masked: boolean;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
}

export type StatementOutcome = 'ok' | 'error' | 'empty' | 'suspended' | 'skipped' | 'cut' | 'running';

export interface StatementRow {
  /** When it was asked, in milliseconds since the session began. */
  readonly at: number;
  readonly durationMs: number;
  readonly sql: string;
  /** Something of the text is missing in `sql`, beyond what is masked. */
  readonly truncated: boolean;
  readonly masked: boolean;
  /** Of a text that was recorded in pieces: its length in bytes, and the SHA-256 (hex) of all that could be shown of it. */
  readonly long: { readonly bytes: number; readonly sha256: string } | null;
  /** Executed with parameters, by name or not: the text is that of its Parse. */
  readonly prepared: boolean;
  readonly outcome: StatementOutcome;
  /** What the target said: the command's tag, or SQLSTATE and, where nothing had to be hidden, the message. */
  readonly said: string;
  readonly rows: number;
  /** Bytes from the target and from the client since the execution before; near enough, not exact. */
  readonly received: number;
  readonly sent: number;
  /** Changes of identity are worth a look. */
  readonly notable: boolean;
}

export interface Recording {
  readonly header: RecordingHeader | null;
  readonly statements: readonly StatementRow[];
  /** Why the session ended; `null` when the recording breaks off. */
  readonly ended: string | null;
  readonly lastAt: number;
}

const OUTCOMES: Readonly<Record<number, StatementOutcome>> = {
  [format.OUTCOME_OK]: 'ok',
  [format.OUTCOME_ERROR]: 'error',
  [format.OUTCOME_EMPTY]: 'empty',
  [format.OUTCOME_SUSPENDED]: 'suspended',
  [format.OUTCOME_SKIPPED]: 'skipped',
  [format.OUTCOME_CUT]: 'cut',
};

const NOTABLE = /\bset\s+(?:(?:local|session)\s+)?(?:role\b|session\s+authorization\b)/i;
const MOST_ROWS = 1_000_000;
/** Characters of long texts that one reading gives, so that it can be answered; each whole with its first execution only. */
const MOST_LONG = 64 * 1024 * 1024;
const LONG_SHOWN = 64 * 1024;

interface Text {
  sql: string;
  flags: number;
  readonly at: number;
  long: StatementRow['long'];
  /** What has come of a text that is recorded in pieces. */
  pieces: Uint8Array[];
  notable: boolean | null;
  done: boolean;
}

/** What is wrong with a recording's bytes: they were not written by a broker, or were changed. */
export class BadRecording extends Error {
  override readonly name = 'BadRecording';
}

/** Reads chunks, in order of their `seq`. Statements that were not answered when it was taken are `running`. */
export function readRecording(chunks: Iterable<Uint8Array>): Recording {
  const reader = new RecordingReader();
  for (const chunk of chunks) reader.chunk(chunk);
  return reader.result();
}

/** Reads a recording of any length: chunk after chunk, and what was taken is not held any longer. */
export class RecordingReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #now = 0;
  #header: RecordingHeader | null = null;
  #ended: string | null = null;
  #encoding = 'utf-8';
  readonly #texts = new Map<number, Text>();
  #rows: StatementRow[] = [];
  #running: { text: number; at: number } | null = null;
  #longGiven = 0;

  chunk(chunk: Uint8Array): void {
    this.#bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#at = 0;
    while (this.#at < this.#bytes.length) this.#record();
  }

  /** Statements that were answered since the last time. */
  take(): readonly StatementRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  get header(): RecordingHeader | null {
    return this.#header;
  }

  /** What was not taken, and what still runs. */
  result(): Recording {
    const rows = [...this.#rows];
    for (const [id, text] of this.#texts) {
      const running = this.#running?.text === id ? this.#running.at : null;
      if ((text.flags & format.SIMPLE) === 0 ? running === null : text.done) continue;
      const at = running ?? text.at;
      // One that was not even sent to its end was never executed.
      const outcome = text.flags & format.PIECES ? 'cut' : 'running';
      if (outcome === 'cut') this.#finish(text, format.TRUNCATED);
      rows.push(this.#row(text, at, this.#now - at, outcome, '', 0, 0, 0));
    }
    return { header: this.#header, statements: rows, ended: this.#ended, lastAt: this.#now / 1000 };
  }

  #record(): void {
    const mark = this.#byte();
    if (mark === format.CLOCK) {
      this.#now = this.#number();
      return;
    }
    this.#now += this.#number();
    switch (mark) {
      case format.HEADER:
        this.#header = readHeader(this.#text().toString('utf8'));
        return;
      case format.TEXT: {
        const id = this.#number();
        const flags = this.#byte();
        this.#texts.set(id, { sql: this.#decode(this.#text()), flags, at: this.#now, long: null, pieces: [], notable: null, done: false });
        return;
      }
      case format.PIECE: {
        const text = this.#texts.get(this.#number());
        const bytes = this.#text();
        text?.pieces.push(bytes);
        return;
      }
      case format.WHOLE:
        return this.#whole();
      case format.DONE:
        return this.#done();
      case format.RUNNING:
        this.#running = { text: this.#number(), at: this.#now };
        return;
      case format.ENCODING:
        this.#encoding = webEncoding(this.#text().toString('latin1'));
        return;
      case format.END:
        this.#ended = this.#text().toString('utf8');
        return;
      default:
        throw new BadRecording(`an unknown record, ${mark}`);
    }
  }

  /** What became of a text in pieces. Where its middle was left out, it says so in its place. */
  #whole(): void {
    const text = this.#texts.get(this.#number());
    const flags = this.#byte();
    const bytes = this.#number();
    const left = this.#number();
    const tail = this.#text();
    const sha256 = this.#text().toString('hex');
    if (!text) return;
    if (left > 0) text.pieces.push(Buffer.from(`\n[${left} bytes are not recorded here]\n`));
    text.pieces.push(tail);
    text.long = { bytes, sha256 };
    this.#finish(text, flags);
  }

  #finish(text: Text, flags: number): void {
    text.sql = this.#decode(Buffer.concat(text.pieces));
    text.flags = (text.flags & ~format.PIECES) | flags;
    text.pieces = [];
  }

  #done(): void {
    const id = this.#number();
    const duration = this.#number();
    const received = this.#number();
    const sent = this.#number();
    const outcome = OUTCOMES[this.#byte()];
    if (!outcome) throw new BadRecording('an unknown outcome');
    let rows = 0;
    let said = '';
    if (outcome === 'ok') {
      rows = this.#number();
      said = this.#text().toString('latin1');
    } else if (outcome === 'error') {
      const state = this.#text().toString('latin1');
      said = `${state} ${this.#decode(this.#text())}`.trim();
    }
    const text = this.#texts.get(id) ?? { sql: '(a portal or statement made by SQL)', flags: 0, at: this.#now, long: null, pieces: [], notable: null, done: false };
    this.#running = null;
    if (this.#rows.length >= MOST_ROWS) throw new BadRecording('too many statements for one reading');
    this.#rows.push(this.#row(text, this.#now - duration, duration, outcome, said, rows, received, sent));
    text.done = true;
    // A simple query is executed once: its text is not needed again.
    if (text.flags & format.SIMPLE) this.#texts.delete(id);
  }

  #row(text: Text, at: number, duration: number, outcome: StatementOutcome, said: string, rows: number, received: number, sent: number): StatementRow {
    const whole = text.long === null || (!text.done && this.#longGiven + text.sql.length <= MOST_LONG);
    if (text.long !== null && whole) this.#longGiven += text.sql.length;
    return {
      at: at / 1000,
      durationMs: duration / 1000,
      sql: whole ? text.sql : text.sql.slice(0, LONG_SHOWN),
      truncated: !whole || (text.flags & format.TRUNCATED) !== 0,
      long: text.long,
      masked: (text.flags & format.MASKED) !== 0,
      prepared: (text.flags & format.SIMPLE) === 0,
      outcome, said, rows, received, sent,
      notable: (text.notable ??= NOTABLE.test(text.sql)),
    };
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new BadRecording('it breaks off inside a record');
    return byte;
  }

  #number(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * place;
      if (!Number.isSafeInteger(value)) throw new BadRecording('a number that is too large');
      if (byte < 128) return value;
    }
  }

  #text(): Buffer {
    const length = this.#number();
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new BadRecording('it breaks off inside a record');
    return this.#bytes.subarray(from, this.#at);
  }

  #decode(bytes: Uint8Array): string {
    return new TextDecoder(this.#encoding).decode(bytes);
  }
}

function readHeader(text: string): RecordingHeader {
  try {
    return JSON.parse(text) as RecordingHeader;
  } catch {
    throw new BadRecording('its header is not JSON');
  }
}
