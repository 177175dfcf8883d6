/** SFTP version 3 (draft-ietf-secsh-filexfer-02), which is what OpenSSH speaks: packets, and the fields in them. */

export const INIT = 1;
export const VERSION = 2;
export const OPEN = 3;
export const CLOSE = 4;
export const READ = 5;
export const WRITE = 6;
export const SETSTAT = 9;
export const FSETSTAT = 10;
export const OPENDIR = 11;
export const READDIR = 12;
export const REMOVE = 13;
export const MKDIR = 14;
export const RMDIR = 15;
export const REALPATH = 16;
export const RENAME = 18;
export const SYMLINK = 20;
export const STATUS = 101;
export const HANDLE = 102;
export const DATA = 103;
export const NAME = 104;
export const EXTENDED = 200;

/** Servers take a quarter of a megabyte or so; what says to be longer than this is no SFTP. */
const LONGEST_PACKET = 16 * 1024 * 1024;
/** Kept of a packet that carries no file data: two paths as long as a system takes them, and attributes. */
const LONGEST_HEAD = 16 * 1024;
const LONGEST_HANDLE = 256;
const LENGTH_AND_TYPE = 5;

/** The stream is not what it should be; it can't be followed any further. */
export class NotSftp extends Error {
  override readonly name = 'NotSftp';
}

export interface PacketEvents {
  /** A packet's fields behind its type; `cut` when it is longer than what is kept. Of a WRITE or DATA: those before the data. */
  packet(type: number, fields: SftpFields): void;
  /** Data of the WRITE or DATA that came last. */
  data(bytes: Uint8Array): void;
}

/** Finds packets in one direction of the stream, in whatever pieces it comes. File data are passed on as they come, and not kept. */
export class SftpPackets {
  readonly #events: PacketEvents;
  #head = Buffer.alloc(512);
  #have = 0;
  #wanted = LENGTH_AND_TYPE;
  /** Of the current packet behind its head: data, then what is passed over. */
  #data = 0;
  #skip = 0;

  constructor(events: PacketEvents) {
    this.#events = events;
  }

  /** @throws NotSftp */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#data > 0) {
        const piece = bytes.subarray(at, at + this.#data);
        this.#data -= piece.length;
        at += piece.length;
        this.#events.data(piece);
      } else if (this.#skip > 0) {
        const passed = Math.min(this.#skip, bytes.length - at);
        this.#skip -= passed;
        at += passed;
      } else at = this.#fill(bytes, at);
    }
  }

  #fill(bytes: Uint8Array, from: number): number {
    const piece = bytes.subarray(from, from + this.#wanted - this.#have);
    if (this.#wanted > this.#head.length) this.#head = Buffer.concat([this.#head.subarray(0, this.#have)], LONGEST_HEAD + LENGTH_AND_TYPE);
    this.#head.set(piece, this.#have);
    this.#have += piece.length;
    if (this.#have === this.#wanted) this.#complete();
    return from + piece.length;
  }

  /** As much of the head as was wanted is there: it is whole, or says how much more is wanted. */
  #complete(): void {
    const length = this.#head.readUInt32BE(0) - 1;
    const type = this.#head[4] as number;
    if (this.#have === LENGTH_AND_TYPE && (length < 0 || length > LONGEST_PACKET)) throw new NotSftp(`a packet of ${length + 1} bytes`);
    const head = this.#headLength(type, length) + LENGTH_AND_TYPE;
    if (this.#have < head) {
      this.#wanted = head;
      return;
    }
    const fields = new SftpFields(Buffer.from(this.#head.subarray(LENGTH_AND_TYPE, this.#have)), length > LONGEST_HEAD);
    const rest = length + LENGTH_AND_TYPE - this.#have;
    this.#data = type === WRITE || type === DATA ? this.#head.readUInt32BE(this.#have - 4) : 0;
    if (this.#data > rest) throw new NotSftp('data that are longer than their packet');
    this.#skip = rest - this.#data;
    this.#have = 0;
    this.#wanted = LENGTH_AND_TYPE;
    this.#events.packet(type, fields);
  }

  #headLength(type: number, length: number): number {
    if (type !== WRITE && type !== DATA) return Math.min(length, LONGEST_HEAD);
    // Both begin with a number and a length: of the data, or of the handle before offset and data.
    const known = this.#have >= LENGTH_AND_TYPE + 8;
    const handle = type === WRITE && known ? this.#head.readUInt32BE(LENGTH_AND_TYPE + 4) : 0;
    if (handle > LONGEST_HANDLE) throw new NotSftp(`a handle of ${handle} bytes`);
    const head = type === WRITE && known ? 8 + handle + 12 : 8;
    if (head > length) throw new NotSftp('a packet that is too short');
    return head;
  }
}

const LONGEST_NAME = 4096;

export class SftpFields {
  readonly #bytes: Buffer;
  readonly #cut: boolean;
  #at = 0;

  constructor(bytes: Buffer, cut: boolean) {
    this.#bytes = bytes;
    this.#cut = cut;
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  u32(): number {
    if (this.#at + 4 > this.#bytes.length) throw new NotSftp('a packet that is too short');
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  /** Beyond 2^53 it is not exact, and no file is so large. */
  u64(): number {
    return this.u32() * 2 ** 32 + this.u32();
  }

  string(): Buffer {
    const length = this.u32();
    if (this.#at + length > this.#bytes.length && !this.#cut) throw new NotSftp('a text that is longer than its packet');
    const from = this.#at;
    this.#at = Math.min(from + length, this.#bytes.length);
    return this.#bytes.subarray(from, this.#at);
  }

  handle(): string {
    const handle = this.string();
    if (handle.length > LONGEST_HANDLE) throw new NotSftp(`a handle of ${handle.length} bytes`);
    return handle.toString('latin1');
  }

  name(): string {
    return nameOf(this.string());
  }
}

/**
 * A file's name as text. Names are bytes: those that are no UTF-8 have their odd bytes as `\xff`, and then a backslash is `\x5c`. One that is longer
 * than any system takes is cut, with `...`.
 */
export function nameOf(bytes: Buffer): string {
  const kept = bytes.subarray(0, LONGEST_NAME);
  const more = bytes.length > LONGEST_NAME ? '...' : '';
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(kept) + more;
  } catch {
    return kept.toString('latin1').replaceAll(/[\x80-\xff\\]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`) + more;
  }
}
