import type { Recorder } from '../carried/recorder.ts';
import { nameAt, readError, skipName } from './bodies.ts';
import { code } from './messages.ts';
import type { LongText } from './long-text.ts';
import { BIND, CLOSE, EXECUTE, PARSE, Pending, QUERY, SYNC } from './pending.ts';
import * as format from './recording-format.ts';
import type { RecordingWriter } from './recording-writer.ts';
import { AT_ONCE } from './scanner.ts';
import { Texts } from './texts.ts';

/** More prepared statements than this in one session are an attack. */
const MOST_NAMES = 1 << 16;
/** Stands for the text of an execution whose failure has been recorded already. */
const REPORTED = -1;

/**
 * Follows what a session does and writes it to the recorder. What counts is what the target did: a Parse or a Bind
 * gets its name only when the target has said yes, so that a client can't have one text recorded and another executed.
 * An answer that does not fit what was asked means that the two have lost each other, and ends the session: nothing is
 * executed that could be recorded under another's name, or not at all.
 */
export class Audit {
  /** Milliseconds since the session began; set by the relay for each chunk. */
  now = 0;
  /** Bytes in each direction so far, the current chunk included. */
  bytesIn = 0;
  bytesOut = 0;
  statements = 0;
  /** The client has said goodbye. */
  terminated = false;
  /** Something that no honest client does. */
  abused = false;
  readonly #recorder: Recorder<RecordingWriter>;
  readonly #mask: boolean;
  readonly #texts: Texts;
  readonly #pending = new Pending();
  readonly #prepared = new Map<string, number>();
  readonly #portals = new Map<string, number>();
  #unnamed = 0;
  #unnamedPortal = 0;
  #last = 0;
  #announced = -1;
  #skipping = false;
  /** The target takes rows of a COPY: until the client ends them it passes over every Sync. */
  #copying = false;
  readonly #skippedStatements = new Map<string, number>();
  readonly #skippedPortals = new Map<string, number>();
  /** A statement whose pieces are coming in, and the name that its Parse gives it. */
  #long: LongText | null = null;
  #longName = '';
  /** The target has said all: what comes now is read by the settings that it has reported. Some it reports only with its ReadyForQuery. */
  #settled = true;
  // What the query under way has brought so far.
  #rows = 0;
  #outcome = 0;
  #tag = Buffer.alloc(0);
  #tagFill = 0;
  #markIn = 0;
  #markOut = 0;

  constructor(recorder: Recorder<RecordingWriter>, mask: boolean) {
    this.#recorder = recorder;
    this.#mask = mask;
    this.#texts = new Texts(recorder, mask);
  }

  /** A statement came that can't be recorded without hiding code or showing a password. */
  get unreadable(): boolean {
    return this.#texts.unreadable;
  }

  /** Whether the target owes an answer. */
  get busy(): boolean {
    return this.#pending.count > 0;
  }

  /** A message of the client's. */
  readonly client = (type: number, bytes: Buffer, from: number, to: number, size: number): void => {
    switch (type) {
      case 0x51: // Q
        if (size > AT_ONCE) return this.clientPiece(type, bytes, from, to, 0);
        return this.#asked(QUERY, this.#text(bytes, from, to, format.SIMPLE), '', '');
      case 0x50: // P
        if (size > AT_ONCE) return this.clientPiece(type, bytes, from, to, 0);
        return this.#asked(PARSE, this.#text(bytes, skipName(bytes, from, to), to, 0), nameAt(bytes, from, to), '');
      case 0x42: // B
        return this.#asked(BIND, 0, nameAt(bytes, skipName(bytes, from, to), to), nameAt(bytes, from, to));
      case 0x45: // E
        return this.#asked(EXECUTE, 0, '', nameAt(bytes, from, to));
      case 0x43: // C
        return this.#asked(CLOSE, bytes[from] === code('S') ? 1 : 0, nameAt(bytes, from + 1, to), '');
      case 0x53: // S
        return this.#asked(SYNC, 0, '', '');
      case 0x63: // c: CopyDone
      case 0x66: // f: CopyFail
        this.#copying = false;
        return;
      case 0x46: { // F
        const words = Buffer.from(`function call ${size < 4 ? '' : bytes.readUInt32BE(from)}`);
        return this.#asked(QUERY, this.#text(words, 0, words.length, format.SIMPLE), '', '');
      }
      default:
        this.terminated = true;
    }
  };

  /** A piece of a long Query or Parse; with the last one it counts as asked. */
  readonly clientPiece = (type: number, bytes: Buffer, from: number, to: number, left: number): void => {
    const simple = type === 0x51;
    let start = from;
    if (!this.#long) {
      this.#longName = simple ? '' : nameAt(bytes, from, to);
      if (!simple) start = skipName(bytes, from, to);
      // A name that fills the whole first piece is no honest client's.
      if (start === to && left > 0) return this.#astray();
      this.#long = this.#texts.begin(simple ? format.SIMPLE : 0, { now: this.now, settled: this.#settled });
    }
    const long = this.#long;
    long.push(bytes, start, to, left === 0, this.now);
    if (left > 0) return;
    this.#texts.ended(long);
    this.#long = null;
    this.#asked(simple ? QUERY : PARSE, long.id, this.#longName, '');
  };

  /** A message of the target's. */
  readonly target = (type: number, bytes: Buffer, from: number, to: number): void => {
    const pending = this.#pending;
    const kind = pending.kind;
    switch (type) {
      case 0x43: // C: CommandComplete
        return this.#completed(kind, bytes, from, to);
      case 0x5a: // Z: ReadyForQuery
        return this.#ready(bytes[from] === code('I'));
      case 0x45: // E
        return this.#failed(kind, bytes, from, to);
      case 0x31: // 1: ParseComplete
        if (kind !== PARSE) return this.#astray();
        this.#nameStatement(pending.name, pending.text);
        return pending.shift();
      case 0x32: // 2: BindComplete
        if (kind !== BIND) return this.#astray();
        this.#namePortal(pending.other, this.#statement(pending.name));
        return pending.shift();
      case 0x33: // 3: CloseComplete
        if (kind !== CLOSE) return this.#astray();
        (pending.text === 1 ? this.#prepared : this.#portals).delete(pending.name);
        return pending.shift();
      case 0x47: // G: CopyInResponse
        return this.#copyBegins(kind);
      case 0x49: // I: EmptyQueryResponse
      case 0x73: // s: PortalSuspended
        if (kind === QUERY && type === 0x49) this.#outcome ||= format.OUTCOME_EMPTY;
        else if (kind !== EXECUTE) return this.#astray();
        else {
          this.#done(this.#portal(pending.other), pending.start, type === 0x49 ? format.OUTCOME_EMPTY : format.OUTCOME_SUSPENDED);
          pending.shift();
        }
        return;
      default:
        return this.parameter(bytes.toString('latin1', from, to));
    }
  };

  #astray(): void {
    this.abused = true;
  }

  /**
   * A client that sent its Sync along with the Execute, as libpq does, will send another behind the rows: the target
   * passes over the first. Anything else that waits behind a COPY is no honest client's.
   */
  #copyBegins(kind: number): void {
    const pending = this.#pending;
    if ((kind !== QUERY && kind !== EXECUTE) || !pending.dropBehindHead(SYNC)) return this.#astray();
    this.#copying = true;
  }

  /** A ParameterStatus as `name\0value\0`: some change how text is to be read. */
  parameter(status: string): void {
    const [name = '', value = ''] = status.split('\0');
    this.#texts.setting(name, value, this.now);
  }

  /** To be called from time to time: names an execution that takes long, so that a look at the recording shows it. */
  tick(): void {
    const pending = this.#pending;
    if (pending.kind !== EXECUTE || pending.start === this.#announced) return;
    this.#announced = pending.start;
    this.#recorder.writer.begin(format.RUNNING, this.now, 16);
    this.#recorder.writer.number(this.#portal(pending.other));
  }

  /** Closes the recording: what was not answered was cut. */
  end(reason: string): void {
    const pending = this.#pending;
    // A query whose outcome is known lacks only the target's last word.
    if (pending.kind === QUERY && this.#outcome !== 0) this.#ready(false);
    this.#skippedStatements.clear();
    this.#skippedPortals.clear();
    for (; pending.count > 0; pending.shift()) this.#unanswered(pending.kind, pending.text, pending.start, pending.name, pending.other, format.OUTCOME_CUT);
    const bytes = Buffer.from(reason);
    this.#recorder.writer.begin(format.END, this.now, bytes.length);
    this.#recorder.writer.text(bytes, 0, bytes.length);
  }

  #asked(kind: number, text: number, name: string, other: string): void {
    this.#settled = false;
    if (this.#copying) this.#astray();
    if (this.#skipping) {
      // The target reads on to the next Sync without doing anything.
      if (kind === SYNC) this.#skipping = false;
      else {
        return this.#unanswered(kind, text, this.now, name, other, format.OUTCOME_SKIPPED);
      }
    }
    if (!this.#pending.push(kind, text, this.now, name, other)) this.abused = true;
  }

  #completed(kind: number, bytes: Buffer, from: number, to: number): void {
    const end = bytes[to - 1] === 0 ? to - 1 : to;
    let rows = 0;
    let place = 1;
    for (let at = end - 1; at >= from; at--, place *= 10) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      rows += digit * place;
    }
    this.#rows += rows;
    if (kind === QUERY) {
      this.#outcome = format.OUTCOME_OK;
      // The chunk may be gone when the query ends: a short copy of the last tag.
      if (this.#tag.length < end - from) this.#tag = Buffer.alloc(64);
      this.#tagFill = bytes.copy(this.#tag, 0, from, end);
    } else if (kind === EXECUTE) {
      this.#done(this.#portal(this.#pending.other), this.#pending.start, format.OUTCOME_OK, bytes, from, end);
      this.#pending.shift();
    } else this.#astray();
  }

  #ready(idle: boolean): void {
    // Portals do not outlive their transaction.
    if (idle && this.#portals.size > 0) this.#portals.clear();
    const pending = this.#pending;
    const kind = pending.kind;
    this.#copying = false;
    if (kind === QUERY && this.#outcome !== format.OUTCOME_ERROR) {
      this.#done(pending.text, pending.start, this.#outcome || format.OUTCOME_EMPTY, this.#tag, 0, this.#tagFill);
    }
    if (kind === QUERY || kind === SYNC) pending.shift();
    else if (kind === 0 && this.#skipping) this.#skipping = false; // it had read a Sync that a COPY was thought to pass over
    else this.#astray();
    this.#settled = pending.count === 0;
    this.#outcome = 0;
    this.#tagFill = 0;
    this.#rows = 0;
  }

  #failed(kind: number, bytes: Buffer, from: number, to: number): void {
    const pending = this.#pending;
    const text =
      kind === QUERY || kind === PARSE ? pending.text
      : kind === BIND ? this.#statement(pending.name)
      : kind === EXECUTE ? this.#portal(pending.other)
      : this.#last;
    this.#done(text, pending.count > 0 ? pending.start : this.now, format.OUTCOME_ERROR, bytes, from, to);
    this.#outcome = format.OUTCOME_ERROR;
    this.#copying = false;
    if (kind === QUERY || kind === SYNC) return;
    // What is not followed here, a Describe say, was wrong: the target reads on to the next Sync as after any other.
    if (kind === 0) {
      this.#skipping = true;
      return;
    }
    this.#skippedStatements.clear();
    this.#skippedPortals.clear();
    if (kind === PARSE) this.#skippedStatements.set(pending.name, REPORTED);
    if (kind === BIND) this.#skippedPortals.set(pending.other, REPORTED);
    pending.shift();
    for (; pending.count > 0 && pending.kind !== SYNC; pending.shift()) {
      this.#unanswered(pending.kind, pending.text, pending.start, pending.name, pending.other, format.OUTCOME_SKIPPED);
    }
    this.#skipping = pending.count === 0;
  }

  /**
   * What the target passes over after an error, or did not answer before the end. Names made on the way exist only here,
   * so that an Execute is shown with its own text; the one whose Parse or Bind was the error has been reported with it.
   */
  #unanswered(kind: number, text: number, start: number, name: string, other: string, outcome: number): void {
    if (kind === QUERY) this.#done(text, start, outcome);
    else if (kind === PARSE) this.#skippedStatements.set(name, text);
    else if (kind === BIND) this.#skippedPortals.set(other, this.#skippedStatements.get(name) ?? this.#statement(name));
    else if (kind === EXECUTE) {
      const known = this.#skippedPortals.get(other) ?? this.#portal(other);
      if (known !== REPORTED) this.#done(known, start, outcome);
    }
  }

  /** Writes how an execution came out. `bytes[from, to)` is its tag, or the fields of its error. */
  #done(text: number, start: number, outcome: number, bytes?: Buffer, from = 0, to = 0): void {
    const writer = this.#recorder.writer;
    writer.begin(format.DONE, this.now, 320);
    writer.number(text);
    writer.number(Math.max(0, Math.round((this.now - start) * 1000)));
    writer.number(this.bytesOut - this.#markOut);
    writer.number(this.bytesIn - this.#markIn);
    writer.byte(outcome);
    if (outcome === format.OUTCOME_OK) {
      writer.number(this.#rows);
      if (bytes) writer.text(bytes, from, Math.min(to, from + 64));
      else writer.number(0);
    } else if (outcome === format.OUTCOME_ERROR && bytes) {
      const [state, message] = readError(bytes, from, to);
      writer.text(state, 0, state.length);
      // A message may quote what was typed.
      writer.text(message, 0, this.#mask || this.#texts.secretive ? 0 : message.length);
    }
    this.#markIn = this.bytesIn;
    this.#markOut = this.bytesOut;
    this.#rows = 0;
    this.#last = text;
    if (outcome !== format.OUTCOME_SKIPPED) this.statements += 1;
    writer.events += 1;
    this.#recorder.wrote();
  }

  #text(bytes: Buffer, from: number, to: number, flags: number): number {
    return this.#texts.record(bytes, from, to, flags, { now: this.now, settled: this.#settled });
  }

  #statement(name: string): number {
    return name === '' ? this.#unnamed : (this.#prepared.get(name) ?? 0);
  }
  #portal(name: string): number {
    return name === '' ? this.#unnamedPortal : (this.#portals.get(name) ?? 0);
  }
  #nameStatement(name: string, text: number): void {
    if (name === '') this.#unnamed = text;
    else if (this.#prepared.set(name, text).size > MOST_NAMES) this.abused = true;
  }
  #namePortal(name: string, text: number): void {
    if (name === '') this.#unnamedPortal = text;
    else if (this.#portals.set(name, text).size > MOST_NAMES) this.abused = true;
  }
}
