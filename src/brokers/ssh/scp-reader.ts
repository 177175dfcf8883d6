import type { JsonObject } from '#domain/json.ts';
import { nameOf } from './sftp-packets.ts';
import { Transfer } from './transfer.ts';

const LONGEST_LINE = 8 * 1024;
/** Of the sending side, while an answer is missing that says whether data follow. Most programs wait for it; SSH's window bounds those that don't. */
const MOST_HELD = 4 * 1024 * 1024;
/** Small pieces are put together at times: each takes memory of its own. */
const MOST_PIECES = 1_000;
const MOST_UNANSWERED = 1_000;
const MOST_FOLDERS = 1_000;
const NEW_LINE = 0x0a;

interface Answer {
  readonly of: 'start' | 'times' | 'folder' | 'leave' | 'file' | 'data';
  readonly event: JsonObject | null;
}

interface PassingFile {
  readonly event: JsonObject;
  readonly transfer: Transfer;
  left: number;
}

/**
 * Reads along on the old scp protocol (`scp -t`, `scp -f`): one side sends C, D, E and T lines and the bytes of files, the other answers
 * each with a zero, or with 1 or 2 and a complaint. Whether the bytes behind a C line are a file's hangs on the answer to it. Tells each
 * file, with bytes and SHA-256; changes and delays nothing. `broken` as in SftpReader.
 */
export class ScpReader {
  readonly #emit: (event: JsonObject) => void;
  readonly #folders: string[] = [];
  /** What the receiving side has to answer; it begins with a zero unasked. */
  readonly #unanswered: Answer[] = [{ of: 'start', event: null }];
  #held: Buffer = Buffer.alloc(0);
  /** What came behind that while an answer was missing. */
  #pieces: Uint8Array[] = [];
  #size = 0;
  /** Of the file that is passing. */
  #file: PassingFile | null = null;
  /** A C or D line waits for its answer. */
  #asking = false;
  #complaint: number[] | null = null;
  broken: string | null = null;

  constructor(emit: (event: JsonObject) => void) {
    this.#emit = emit;
  }

  fromSender(bytes: Uint8Array): void {
    if (this.broken !== null) return;
    this.#pieces.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#pieces.length > MOST_PIECES) this.#join();
    this.#go();
    if (this.#asking && this.#size > MOST_HELD) this.#break('too much is sent before the answer');
  }

  fromReceiver(bytes: Uint8Array): void {
    if (this.broken !== null) return;
    for (const byte of bytes) {
      if (this.#complaint !== null) this.#complain(byte);
      else if (byte === 0) this.#answered(null);
      else if (byte === 1 || byte === 2) this.#complaint = [];
      else this.#break('an answer that is none');
      // Before the next answer: what it answers may be held.
      this.#go();
    }
  }

  /** The channel has closed; of a file that was passing it is told how much of it did. */
  end(): void {
    if (this.#file) this.#emit({ ...this.#file.event, ...this.#file.transfer.facts(), outcome: 'cut' });
    for (const { event } of this.#unanswered) if (event) this.#emit({ ...event, outcome: 'cut' });
    this.#file = null;
    this.#unanswered.length = 0;
  }

  #join(): void {
    this.#held = Buffer.concat([this.#held, ...this.#pieces]);
    this.#pieces = [];
  }

  #go(): void {
    if (this.#asking || this.broken !== null) return;
    this.#join();
    while (this.broken === null && this.#held.length > 0 && !this.#asking) {
      if (this.#file ? !this.#data(this.#file) : !this.#line()) break;
    }
    this.#size = this.#held.length;
  }

  /** Answers whether there is more to look at. */
  #data(file: PassingFile): boolean {
    const bytes = this.#held.subarray(0, file.left);
    if (bytes.length > 0) {
      file.transfer.add(bytes);
      file.left -= bytes.length;
      this.#held = this.#held.subarray(bytes.length);
      return true;
    }
    // Behind the last byte the sender says whether it could read them all.
    const end = this.#held[0] === 0 ? 1 : this.#held.indexOf(NEW_LINE) + 1;
    if (end === 0) return this.#tooLong();
    const outcome = this.#held[0] === 0 ? 'ok' : nameOf(this.#held.subarray(1, end - 1));
    this.#held = this.#held.subarray(end);
    this.#file = null;
    this.#ask({ of: 'data', event: { ...file.event, ...file.transfer.facts(), outcome } });
    return true;
  }

  #line(): boolean {
    const end = this.#held.indexOf(NEW_LINE);
    if (end < 0) return this.#tooLong();
    const line = this.#held.subarray(0, end);
    this.#held = this.#held.subarray(end + 1);
    const kind = String.fromCharCode(line[0] ?? 0);
    const entry = /^[CD]([0-7]{4,5}) (\d{1,15}) /.exec(line.subarray(0, 64).toString('latin1'));
    if (entry) this.#entry(kind, entry[1] ?? '', Number(entry[2]), nameOf(line.subarray(entry[0].length)));
    else if (kind === 'E') this.#ask({ of: 'leave', event: null });
    else if (kind === 'T') this.#ask({ of: 'times', event: null });
    else if (kind === '\u0001' || kind === '\u0002') this.#emit({ op: 'complaint', said: nameOf(line.subarray(1)) });
    else this.#break('a line that is none of scp\'s');
    return true;
  }

  #entry(kind: string, permissions: string, size: number, name: string): void {
    const path = [...this.#folders, name].join('/');
    this.#asking = true;
    if (kind === 'D') this.#ask({ of: 'folder', event: { op: 'folder', path, permissions } });
    else this.#ask({ of: 'file', event: { op: 'file', path, permissions, size } });
  }

  #ask(answer: Answer): void {
    if (this.#unanswered.push(answer) > MOST_UNANSWERED) this.#break('too much without an answer');
  }

  #answered(complaint: string | null): void {
    const answer = this.#unanswered.shift();
    if (!answer) return this.#break('an answer to nothing');
    const { of, event } = answer;
    if (of === 'file' || of === 'folder') this.#asking = false;
    if (of === 'leave') this.#folders.pop();
    if (event === null) return;
    if (of === 'file' && complaint === null) this.#file = { event, transfer: new Transfer(), left: Number(event['size']) };
    else this.#emit({ outcome: 'ok', ...event, ...(complaint === null ? {} : { outcome: complaint }) });
    if (of === 'folder' && complaint === null && this.#folders.push(String(event['path']).replace(/^.*\//, '')) > MOST_FOLDERS) this.#break('folders too deep');
  }

  #complain(byte: number): void {
    const said = this.#complaint ?? [];
    if (byte !== NEW_LINE) {
      if (said.length < LONGEST_LINE) said.push(byte);
      return;
    }
    this.#complaint = null;
    this.#answered(nameOf(Buffer.from(said)));
  }

  #tooLong(): boolean {
    if (this.#held.length > LONGEST_LINE) this.#break('a line that does not end');
    return false;
  }

  #break(why: string): void {
    if (this.broken !== null) return;
    this.broken = why;
    this.#held = Buffer.alloc(0);
    this.#pieces = [];
    this.#emit({ op: 'unreadable', why });
  }
}
