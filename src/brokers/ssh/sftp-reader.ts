import type { JsonObject } from '#domain/json.ts';
import * as sftp from './sftp-packets.ts';
import { NotSftp, SftpPackets, type SftpFields } from './sftp-packets.ts';
import { readRequest, type Asked, type EventDraft } from './sftp-requests.ts';
import { Transfer } from './transfer.ts';

/** Requests that were not answered. Clients have 64 or so. */
const MOST_ASKED = 16_384;
const MOST_OPEN = 4_096;
const OUTCOMES = ['ok', 'end of file', 'no such file', 'permission denied', 'failure', 'bad message', 'no connection', 'connection lost', 'unsupported'];
/** What a request without an answer came to, when the channel closes. */
const CUT = 'cut';

interface OpenFile {
  path: string | null;
  readonly folder: boolean;
  entries: number;
  readonly read: Transfer;
  readonly written: Transfer;
}

/**
 * Reads along on an SFTP channel and tells what was done to which file. It changes and delays nothing. Answers belong to requests by
 * number, and where a client uses one number twice, in their order. When either side speaks something else, `broken` says so: what follows is not
 * recorded, and the channel must not go on.
 */
export class SftpReader {
  readonly #emit: (event: JsonObject) => void;
  readonly #client: SftpPackets;
  readonly #server: SftpPackets;
  readonly #asked = new Map<number, Asked[]>();
  #waiting = 0;
  readonly #open = new Map<string, OpenFile>();
  /** Where the data go of the packet that is passing. */
  #writing: Transfer | null = null;
  #reading: Transfer | null = null;
  #openssh = false;
  broken: string | null = null;

  constructor(emit: (event: JsonObject) => void) {
    this.#emit = emit;
    this.#client = new SftpPackets({ packet: (type, fields) => this.#request(type, fields), data: (bytes) => this.#writing?.add(bytes) });
    this.#server = new SftpPackets({ packet: (type, fields) => this.#answer(type, fields), data: (bytes) => this.#reading?.add(bytes) });
  }

  fromClient(bytes: Uint8Array): void {
    this.#read(this.#client, bytes);
  }

  fromServer(bytes: Uint8Array): void {
    this.#read(this.#server, bytes);
  }

  /** The channel has closed: what was not answered, and what was not closed. */
  end(): void {
    for (const asked of this.#asked.values()) for (const { event } of asked) if (event) this.#emit({ ...event, outcome: CUT });
    for (const file of this.#open.values()) this.#emit(closeEvent(file, CUT));
    this.#asked.clear();
    this.#open.clear();
  }

  #read(packets: SftpPackets, bytes: Uint8Array): void {
    if (this.broken !== null) return;
    try {
      packets.push(bytes);
    } catch (error) {
      if (!(error instanceof NotSftp)) throw error;
      this.broken = error.message;
      this.#emit({ op: 'unreadable', why: error.message });
    }
  }

  #request(type: number, fields: SftpFields): void {
    if (type === sftp.INIT) return;
    const id = fields.u32();
    const asked = readRequest(type, fields, this.#openssh);
    if (type === sftp.WRITE) {
      this.#writing = this.#file(asked.handle ?? '').written;
      this.#writing.seek(fields.u64());
    }
    if (++this.#waiting > MOST_ASKED) throw new NotSftp('too many requests without an answer');
    const same = this.#asked.get(id);
    if (same) same.push(asked);
    else this.#asked.set(id, [asked]);
  }

  #answer(type: number, fields: SftpFields): void {
    if (type === sftp.VERSION) return this.#version(fields);
    const id = fields.u32();
    const same = this.#asked.get(id);
    const asked = same?.shift();
    if (!same || !asked) throw new NotSftp('an answer to no request');
    if (same.length === 0) this.#asked.delete(id);
    this.#waiting -= 1;
    const code = type === sftp.STATUS ? fields.u32() : 0;
    const outcome = OUTCOMES[code] ?? `code ${code}`;
    if (type === sftp.HANDLE) this.#opened(fields.handle(), asked);
    this.#reading = null;
    if (type === sftp.DATA && asked.type === sftp.READ) {
      this.#reading = this.#file(asked.handle ?? '').read;
      this.#reading.seek(asked.offset);
    }
    if (asked.type === sftp.CLOSE) this.#closed(asked.handle ?? '', outcome);
    else if (asked.type === sftp.READDIR && type === sftp.NAME) this.#file(asked.handle ?? '').entries += fields.u32();
    else if (asked.type === sftp.WRITE && code !== 0) this.#file(asked.handle ?? '').written.failed += 1;
    // Of a folder that was opened its closing tells: `readdir`.
    const told = asked.event === null || (asked.type === sftp.OPENDIR && type === sftp.HANDLE);
    if (asked.event !== null && !told) this.#emit(this.#finished(asked.event, asked, type, fields, outcome));
  }

  #version(fields: SftpFields): void {
    const version = fields.u32();
    while (fields.more) {
      if (fields.name().endsWith('@openssh.com')) this.#openssh = true;
      if (fields.more) fields.string();
    }
    this.#emit({ op: 'init', version });
    if (version > 3) throw new NotSftp(`version ${version} of SFTP`);
  }

  #finished(event: EventDraft, asked: Asked, type: number, fields: SftpFields, outcome: string): JsonObject {
    if (event['op'] === 'realpath' && type === sftp.NAME && fields.u32() > 0) event['is'] = fields.name();
    if (event['op'] === 'copy') {
      for (const end of ['from', 'to']) event[end] = this.#file(String(event[end])).path;
      this.#file(asked.handle ?? '').written.disorder();
    } else if (asked.handle !== null) event['path'] = this.#file(asked.handle).path;
    return { ...event, outcome };
  }

  #opened(handle: string, asked: Asked): void {
    const path = asked.event?.['path'];
    const known = this.#open.get(handle);
    // A client may guess a handle and use it before it was told of it.
    if (known && known.path === null && typeof path === 'string') {
      known.path = path;
      return;
    }
    if (known) this.#emit(closeEvent(known, CUT));
    this.#open.delete(handle);
    this.#add(handle, typeof path === 'string' ? path : null, asked.type === sftp.OPENDIR);
  }

  #closed(handle: string, outcome: string): void {
    const file = this.#open.get(handle);
    this.#open.delete(handle);
    if (file) this.#emit(closeEvent(file, outcome));
  }

  #file(handle: string): OpenFile {
    return this.#open.get(handle) ?? this.#add(handle, null, false);
  }

  #add(handle: string, path: string | null, folder: boolean): OpenFile {
    if (this.#open.size >= MOST_OPEN) throw new NotSftp('too many open files');
    const file = { path, folder, entries: 0, read: new Transfer(), written: new Transfer() };
    this.#open.set(handle, file);
    return file;
  }
}

function closeEvent(file: OpenFile, outcome: string): JsonObject {
  if (file.folder) return { op: 'readdir', path: file.path, entries: file.entries, outcome };
  const { read, written } = file;
  return {
    op: 'close',
    path: file.path,
    ...(read.bytes > 0 ? { read: read.facts() } : {}),
    ...(written.bytes > 0 || written.failed > 0 ? { written: written.facts() } : {}),
    outcome,
  };
}
