/**
 * A chunk as it is handed in: how it is packed, the length of its records, a CRC-32 of all that, and the records, packed. Each is packed by
 * itself, so that one can be read when another is missing. docs/recording-format-ssh.md
 */
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BadRecording } from './bad-recording.ts';
import { LARGEST_CHUNK, STORED, ZSTD } from './recording-format.ts';

const HEAD = 9;
/** Where the CRC-32 stands, of what is before and behind it. */
const CHECKED = 5;
/** Fewer bytes are not worth a call of the packer. */
const WORTH_PACKING = 200;
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export function packChunk(records: Uint8Array): Buffer {
  const packed = records.length < WORTH_PACKING ? records : zstdCompressSync(records, FAST);
  const shorter = packed.length < records.length;
  const body = shorter ? packed : records;
  const chunk = Buffer.allocUnsafe(HEAD + body.length);
  chunk[0] = shorter ? ZSTD : STORED;
  chunk.writeUInt32BE(records.length, 1);
  chunk.set(body, HEAD);
  chunk.writeUInt32BE(checksum(chunk), CHECKED);
  return chunk;
}

/**
 * The records of a chunk. Never more memory than the largest chunk may have, whatever the bytes say (D06).
 * @throws BadRecording for bytes that no broker wrote
 */
export function unpackChunk(bytes: Uint8Array): Buffer {
  const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (chunk.length < HEAD) throw new BadRecording('a chunk is shorter than its head');
  const length = chunk.readUInt32BE(1);
  if (length > LARGEST_CHUNK) throw new BadRecording('a chunk is larger than one may be');
  if (checksum(chunk) !== chunk.readUInt32BE(CHECKED)) throw new BadRecording('a chunk was changed');
  const body = chunk.subarray(HEAD);
  if (chunk[0] !== ZSTD && chunk[0] !== STORED) throw new BadRecording('a chunk is packed in an unknown way');
  const records = chunk[0] === ZSTD ? inflate(body, length) : body;
  if (records.length !== length) throw new BadRecording('a chunk has another length than it says');
  return records;
}

function checksum(chunk: Buffer): number {
  return crc32(chunk.subarray(HEAD), crc32(chunk.subarray(0, CHECKED)));
}

function inflate(body: Buffer, length: number): Buffer {
  try {
    return zstdDecompressSync(body, { maxOutputLength: Math.max(length, 1) });
  } catch {
    throw new BadRecording('a chunk can\'t be unpacked');
  }
}
