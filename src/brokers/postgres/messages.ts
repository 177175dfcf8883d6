/**
 * The PostgreSQL frontend/backend protocol 3.0 on the wire: one type byte, a big-endian length that counts itself,
 * a body. Only what a broker itself says or must understand; everything else passes through untouched.
 */

/** The largest packet before a session exists, as PostgreSQL bounds it (`MAX_STARTUP_PACKET_LENGTH`). */
export const MAX_STARTUP = 10_000;
/** The largest body PostgreSQL takes for a long message, and for one that has no business being long. */
export const MAX_LONG = 0x3fffffff;
export const MAX_SHORT = 10_000;

/** The request codes that stand where a protocol version would. */
export const CANCEL_REQUEST = 80_877_102;
export const SSL_REQUEST = 80_877_103;
export const GSSENC_REQUEST = 80_877_104;

export const AUTH_OK = 0;
export const AUTH_CLEARTEXT = 3;
export const AUTH_MD5 = 5;
export const AUTH_SASL = 10;
export const AUTH_SASL_CONTINUE = 11;
export const AUTH_SASL_FINAL = 12;

/** `code('Z')` is the byte that starts a ReadyForQuery. */
export function code(letter: string): number {
  return letter.charCodeAt(0);
}

/** What is wrong with what a peer sent. Ends the connection; the text is ours and safe to show. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export function frame(letter: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(5 + body.length);
  bytes[0] = code(letter);
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
}

/** Zero-terminated strings, one after the other. A zero inside one would start another field: refused. */
export function strings(...texts: readonly string[]): Buffer {
  if (texts.some((text) => text.includes('\0'))) throw new ProtocolError('a string with a zero byte');
  return Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8');
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

/** What a person reads when Brevet speaks up in a session. */
export interface Speech {
  /** `FATAL` ends the session; `NOTICE` and `WARNING` are printed by psql and go on. */
  readonly severity: 'FATAL' | 'WARNING' | 'NOTICE';
  /** A SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string | null;
  readonly hint?: string | null;
}

/** ErrorResponse or NoticeResponse. Control characters are taken out: texts may carry names that somebody chose. */
export function speech(say: Speech): Buffer {
  const fields: string[] = [`S${say.severity}`, `V${say.severity}`, `C${say.code}`, `M${plain(say.message)}`];
  if (say.detail) fields.push(`D${plain(say.detail)}`);
  if (say.hint) fields.push(`H${plain(say.hint)}`);
  return frame(say.severity === 'FATAL' ? 'E' : 'N', Buffer.concat([strings(...fields), Buffer.of(0)]));
}

function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 1000);
}

/** AuthenticationXxx: a number, and what the method adds. */
export function authentication(kind: number, extra: Uint8Array = Buffer.alloc(0)): Buffer {
  return frame('R', Buffer.concat([int32(kind), extra]));
}

export function backendKeyData(pid: number, secret: number): Buffer {
  return frame('K', Buffer.concat([int32(pid), int32(secret)]));
}

/** Answers a client that asks for more than 3.0, or for protocol options that nobody here knows. */
export function negotiateProtocolVersion(unknownOptions: readonly string[]): Buffer {
  return frame('v', Buffer.concat([int32(0), int32(unknownOptions.length), strings(...unknownOptions)]));
}

/** A startup packet has no type byte. */
export function startupMessage(parameters: readonly (readonly [string, string])[]): Buffer {
  const body = Buffer.concat([int32(0x0003_0000), strings(...parameters.flat()), Buffer.of(0)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export function sslRequest(): Buffer {
  return Buffer.concat([int32(8), int32(SSL_REQUEST)]);
}

export function cancelRequest(pid: number, secret: number): Buffer {
  return Buffer.concat([int32(16), int32(CANCEL_REQUEST), int32(pid), int32(secret)]);
}

/** Splits zero-terminated strings up to an empty one. @throws ProtocolError when the end is missing */
export function readStrings(bytes: Buffer, from = 0): string[] {
  const texts: string[] = [];
  for (let at = from; ; ) {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw new ProtocolError('a string without an end');
    if (end === at) return texts;
    texts.push(bytes.toString('utf8', at, end));
    at = end + 1;
  }
}

/** The fields of an ErrorResponse or NoticeResponse by their letter. Never throws: a target may send anything. */
export function readFields(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at);
    const stop = end < 0 ? body.length : end;
    fields.set(String.fromCharCode(body[at] as number), body.toString('utf8', at + 1, stop));
    at = stop + 1;
  }
  return fields;
}
