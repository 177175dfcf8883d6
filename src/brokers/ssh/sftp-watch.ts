import { createHash, type Hash } from 'node:crypto';
import type { JsonObject } from '#domain/json.ts';
import { Fields, NoSftp, SftpMessages } from './sftp-messages.ts';

// Requests, by their numbers in the protocol.
const OPEN = 3;
const CLOSE = 4;
const READ = 5;
const WRITE = 6;
const SETSTAT = 9;
const FSETSTAT = 10;
const OPENDIR = 11;
const REMOVE = 13;
const MKDIR = 14;
const RMDIR = 15;
const RENAME = 18;
const SYMLINK = 20;
const EXTENDED = 200;
// Answers.
const STATUS = 101;
const HANDLE = 102;
const DATA = 103;

/** Requests about one path, and what they are called in a recording. */
const ABOUT_A_PATH: Readonly<Record<number, string>> = { [SETSTAT]: 'setstat', [OPENDIR]: 'list', [REMOVE]: 'remove', [MKDIR]: 'mkdir', [RMDIR]: 'rmdir' };
const ABOUT_TWO: Readonly<Record<number, string>> = { [RENAME]: 'rename', [SYMLINK]: 'symlink' };
const EXTENDED_ABOUT_TWO: Readonly<Record<string, string>> = { 'posix-rename@openssh.com': 'rename', 'hardlink@openssh.com': 'hardlink' };
/** Extensions that only look, or only ask the disk to hurry. */
const HARMLESS = ['statvfs@openssh.com', 'fstatvfs@openssh.com', 'fsync@openssh.com', 'limits@openssh.com', 'expand-path@openssh.com', 'users-groups-by-id@openssh.com'];
const FLAGS = ['read', 'write', 'append', 'create', 'truncate', 'exclusive'];

/** More at once than any honest client has unanswered, or open. */
const MOST_PENDING = 4096;
const MOST_HANDLES = 1024;
const LONGEST_PATH = 4096;

/** What was asked and is not answered yet. */
interface Pending {
  readonly event: JsonObject | null;
  readonly opens?: string;
  readonly reads?: { readonly file: File; readonly offset: number };
}

/** One direction of a file's content: how much, and its hash as long as it comes in order from the start. */
class Content {
  bytes = 0;
  #hash: Hash | null = createHash('sha256');

  add(offset: number, data: Buffer): void {
    if (offset !== this.bytes) this.#hash = null;
    this.#hash?.update(data);
    this.bytes += data.length;
  }

  get facts(): JsonObject | null {
    return this.bytes === 0 ? null : { bytes: this.bytes, sha256: this.#hash?.copy().digest('hex') ?? null };
  }
}

interface File {
  readonly path: string;
  readonly directory: boolean;
  readonly read: Content;
  readonly written: Content;
}

/**
 * Reads along an SFTP session and tells what is done to files: by whom it is answered, and how, not by who asked. Content is counted and
 * hashed, not kept. Looking around (stat, readdir, realpath) is not told.
 */
export class SftpWatch {
  readonly #report: (event: JsonObject) => void;
  readonly #asked = new SftpMessages();
  readonly #answered = new SftpMessages();
  readonly #pending = new Map<number, Pending>();
  readonly #files = new Map<string, File>();

  constructor(report: (event: JsonObject) => void) {
    this.#report = report;
  }

  /** @throws NoSftp */
  fromClient(bytes: Buffer): void {
    this.#asked.push(bytes, (message) => this.#request(new Fields(message)));
  }

  /** @throws NoSftp */
  fromTarget(bytes: Buffer): void {
    this.#answered.push(bytes, (message) => this.#answer(new Fields(message)));
  }

  /** The channel is over: files that are still open were not closed by the client. */
  finish(): void {
    for (const file of this.#files.values()) this.#closed(file, { unfinished: true });
    this.#files.clear();
  }

  #request(fields: Fields): void {
    const type = fields.byte();
    const id = fields.uint32(); // of INIT it is the version
    const pending = this.#understand(type, fields);
    if (pending === null) return;
    if (this.#pending.has(id) || this.#pending.size >= MOST_PENDING) throw new NoSftp('too much is asked at once, or twice under one number');
    this.#pending.set(id, pending);
  }

  #understand(type: number, fields: Fields): Pending | null {
    if (type === WRITE) {
      const file = this.#file(fields);
      file.written.add(fields.uint64(), fields.bytes());
      return null;
    }
    if (type === READ) {
      const file = this.#file(fields);
      return { event: null, reads: { file, offset: fields.uint64() } };
    }
    if (type === OPEN) {
      const path = pathOf(fields);
      const flags = fields.uint32();
      return { event: { op: 'open', path, flags: FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0) }, opens: path };
    }
    if (type === CLOSE) {
      const handle = fields.bytes().toString('latin1');
      this.#closed(this.#known(handle), {});
      this.#files.delete(handle);
      return null;
    }
    if (type === FSETSTAT) return { event: { op: 'setstat', path: this.#file(fields).path } };
    if (type === EXTENDED) return extended(fields);
    const [one, two] = [ABOUT_A_PATH[type], ABOUT_TWO[type]];
    if (one !== undefined) {
      const path = pathOf(fields);
      return { event: { op: one, path }, ...(type === OPENDIR ? { opens: path } : {}) };
    }
    return two === undefined ? null : { event: { op: two, path: pathOf(fields), to: pathOf(fields) } };
  }

  #answer(fields: Fields): void {
    const type = fields.byte();
    const id = fields.uint32();
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    if (type === DATA && pending.reads) pending.reads.file.read.add(pending.reads.offset, fields.bytes());
    if (type === HANDLE && pending.opens !== undefined) this.#opened(fields.bytes().toString('latin1'), pending.opens, pending.event?.['op'] === 'list');
    if (pending.event) this.#report({ ...pending.event, status: type === STATUS ? fields.uint32() : 0 });
  }

  #opened(handle: string, path: string, directory: boolean): void {
    if (this.#files.size >= MOST_HANDLES) throw new NoSftp('too many files are open');
    this.#files.set(handle, { path, directory, read: new Content(), written: new Content() });
  }

  #closed({ path, directory, read, written }: File, more: JsonObject): void {
    if (!directory) this.#report({ op: 'close', path, read: read.facts, written: written.facts, ...more });
  }

  #file(fields: Fields): File {
    return this.#known(fields.bytes().toString('latin1'));
  }

  /** Handles can be guessed: whoever uses one before it was given would write where nobody looks. */
  #known(handle: string): File {
    const file = this.#files.get(handle);
    if (!file) throw new NoSftp('a file is used that is not open');
    return file;
  }
}

function extended(fields: Fields): Pending | null {
  const name = fields.text().slice(0, 100);
  const two = EXTENDED_ABOUT_TWO[name];
  if (two !== undefined) return { event: { op: two, path: pathOf(fields), to: pathOf(fields) } };
  return HARMLESS.includes(name) ? null : { event: { op: 'extension', name } };
}

function pathOf(fields: Fields): string {
  return fields.text().slice(0, LONGEST_PATH);
}
