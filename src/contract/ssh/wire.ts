/** The data types of SSH (RFC 4251, section 5), read strictly: whatever can be written in two ways is taken in one. */

/** SSH packets hold at most 35,000 bytes (RFC 4253, section 6.1): no key, certificate or signature is longer than this. */
export const LONGEST_BLOB = 32_768;

/** These bytes are not what they should be. */
export class Malformed extends Error {}

export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    if (bytes.length > LONGEST_BLOB) throw new Malformed(`it has ${bytes.length} bytes, more than ${LONGEST_BLOB}`);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get position(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  /** An SSH `string` as it is: any bytes. */
  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  /** An SSH `string` that is a text: UTF-8 without control characters, which would end a line or, in C, the text. */
  text(): string {
    const bytes = this.bytes();
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Malformed('a text is not UTF-8');
    }
    if (/\p{Cc}/u.test(text)) throw new Malformed('a text holds control characters');
    return text;
  }

  /** A positive `mpint`, without leading zeros beyond the one that keeps it positive. */
  positive(): Buffer {
    const bytes = this.bytes();
    const [first = 0, second = 0] = bytes;
    if (bytes.length === 0 || first >= 0x80 || (first === 0 && second < 0x80)) throw new Malformed('a number is zero, negative or not in its shortest form');
    return first === 0 ? bytes.subarray(1) : bytes;
  }

  /** What follows must be nothing. */
  end(): void {
    if (!this.atEnd) throw new Malformed('there are bytes behind its end');
  }

  #take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new Malformed('it is cut short');
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** An SSH `string` with what all the parts make together. */
export function string(...parts: readonly (string | Uint8Array)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part)));
  return Buffer.concat([uint32(content.length), content]);
}

/** A positive `mpint` from big-endian bytes. */
export function positive(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  if (start === -1) throw new RangeError('zero is not positive');
  const shortest = bytes.subarray(start);
  return (shortest[0] ?? 0) >= 0x80 ? string(Uint8Array.of(0), shortest) : string(shortest);
}
