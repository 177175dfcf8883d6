/**
 * Thrown by the readers of this folder for bytes that are not what their format demands. The message says what is wrong
 * and where; it never repeats the bytes, which may come from anybody.
 */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** Base64 (RFC 4648 section 4) in its one canonical spelling: padded, no white space, no stray bits. @throws Malformed */
export function readBase64(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new Malformed(`${what} is not canonical base64`);
  return bytes;
}

/** A decimal number as C2SP writes sizes and indexes: no sign, no leading zero, below 2^53. @throws Malformed */
export function readDecimal(text: string, what: string): number {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) throw new Malformed(`${what} is not a decimal number`);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Malformed(`${what} is too large`);
  return value;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 text, refusing what is not UTF-8 instead of replacing it. @throws Malformed */
export function readUtf8(bytes: Uint8Array, what: string): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new Malformed(`${what} is not UTF-8`);
  }
}
