/** Messages of SFTP, version 3 (draft-ietf-secsh-filexfer-02): what every client and server of today speaks. */

/** Of a message without its length. OpenSSH takes 256 KiB at most, and so do those who talk to it. */
const LONGEST_MESSAGE = 512 * 1024;

/** Bytes that are no SFTP. */
export class NoSftp extends Error {
  override readonly name = 'NoSftp';
}

/** Cuts a stream into messages. What arrives whole is not copied. */
export class SftpMessages {
  #rest: Buffer[] = [];
  #held = 0;
  #need = 4;

  /** @throws NoSftp */
  push(bytes: Buffer, take: (message: Buffer) => void): void {
    this.#rest.push(bytes);
    this.#held += bytes.length;
    if (this.#held < this.#need) return;
    const all = this.#rest.length === 1 ? bytes : Buffer.concat(this.#rest);
    let at = 0;
    this.#need = 4;
    while (all.length - at >= 4) {
      const length = all.readUInt32BE(at);
      if (length === 0 || length > LONGEST_MESSAGE) throw new NoSftp('a message with an impossible length');
      this.#need = 4 + length;
      if (all.length - at < this.#need) break;
      take(all.subarray(at + 4, at + this.#need));
      at += this.#need;
      this.#need = 4;
    }
    this.#held = all.length - at;
    this.#rest = this.#held > 0 ? [all.subarray(at)] : [];
  }
}

/** Reads the fields of one message. */
export class Fields {
  readonly #message: Buffer;
  #at = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** Exact up to 2^53: no file is longer. */
  uint64(): number {
    return Number(this.#take(8).readBigUInt64BE());
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  #take(count: number): Buffer {
    if (count > this.#message.length - this.#at) throw new NoSftp('a message that is cut short');
    this.#at += count;
    return this.#message.subarray(this.#at - count, this.#at);
  }
}
