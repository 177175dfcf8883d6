import type { Socket } from 'node:net';
import type { Leg } from './leg.ts';
import { CANCEL_REQUEST, GSSENC_REQUEST, MAX_STARTUP, ProtocolError, readStrings, SSL_REQUEST } from './messages.ts';

export interface Startup {
  /** The minor version of protocol 3 that the client asked for. */
  readonly minor: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The key of a CancelRequest. */
export interface CancelKey {
  readonly pid: number;
  readonly secret: number;
}

/** How a connection begins, before it is encrypted. */
export type Opening =
  | { readonly wants: 'tls'; readonly direct: boolean }
  | { readonly wants: 'cancel'; readonly key: CancelKey }
  | { readonly wants: 'plaintext' };

/** The first byte of a TLS record that holds a handshake: PostgreSQL 17's direct negotiation. */
const TLS_HANDSHAKE = 0x16;

/**
 * Reads what a fresh connection wants. GSS encryption is declined and the client may ask again, once. When the answer
 * is `tls`, nothing behind the request has been read: bytes that were stuffed in front of the handshake never count as
 * the client's (CVE-2021-23222).
 *
 * @throws ProtocolError
 */
export async function readOpening(raw: Socket, timeoutMs: number): Promise<Opening> {
  const timer = setTimeout(() => raw.destroy(), timeoutMs);
  const intake = new Intake(raw);
  try {
    for (let declined = 0; declined < 2; declined++) {
      const first = await intake.take(1);
      if (first[0] === TLS_HANDSHAKE) {
        if (declined > 0) throw new ProtocolError('a TLS handshake in the middle of a negotiation');
        raw.unshift(first);
        return { wants: 'tls', direct: true };
      }
      const header = Buffer.concat([first, await intake.take(7)]);
      const size = header.readInt32BE(0);
      const request = header.readInt32BE(4);
      if (request === CANCEL_REQUEST) return { wants: 'cancel', key: readCancel(size, await intake.take(8)) };
      if (request !== SSL_REQUEST && request !== GSSENC_REQUEST) {
        if (request >> 16 === 3) return { wants: 'plaintext' };
        throw new ProtocolError('this is not the PostgreSQL protocol');
      }
      if (size !== 8 || raw.readableLength > 0) throw new ProtocolError('unexpected bytes behind a negotiation request');
      if (request === SSL_REQUEST) {
        raw.write('S');
        return { wants: 'tls', direct: false };
      }
      raw.write('N');
    }
    throw new ProtocolError('too many negotiation requests');
  } finally {
    intake.stop();
    clearTimeout(timer);
  }
}

/** Reads the StartupMessage, or a CancelRequest, of an encrypted connection. */
export async function readStartup(leg: Leg): Promise<Startup | CancelKey> {
  const header = await leg.take(8);
  const size = header.readInt32BE(0);
  const version = header.readInt32BE(4);
  if (size < 8 || size > MAX_STARTUP) throw new ProtocolError('a startup packet with an impossible length');
  if (version === CANCEL_REQUEST) return readCancel(size, await leg.take(8));
  if (version >> 16 !== 3) throw new ProtocolError('only version 3 of the PostgreSQL protocol is spoken here');
  const texts = readStrings(await leg.take(size - 8));
  if (texts.length % 2 !== 0) throw new ProtocolError('a startup parameter without a value');
  const parameters = new Map<string, string>();
  for (let at = 0; at < texts.length; at += 2) parameters.set(texts[at] as string, texts[at + 1] as string);
  return { minor: version & 0xffff, parameters };
}

function readCancel(size: number, body: Buffer): CancelKey {
  if (size !== 16) throw new ProtocolError('a cancel request with an impossible length');
  return { pid: body.readInt32BE(0), secret: body.readInt32BE(4) };
}

/**
 * Takes exact numbers of bytes without making the socket flow. One listener for the whole opening: a new one would be
 * told at once of the bytes that are there, and asking again and again for more than that would never let go.
 */
class Intake {
  readonly #raw: Socket;
  #wake: () => void = () => undefined;
  readonly #on = () => this.#wake();

  constructor(raw: Socket) {
    this.#raw = raw;
    for (const event of EVENTS) raw.on(event, this.#on);
  }

  async take(size: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#raw.read(size) as Buffer | null;
      if (bytes?.length === size) return bytes;
      if (bytes !== null || this.#raw.destroyed || this.#raw.readableEnded) throw new ProtocolError('the client went away');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  stop(): void {
    for (const event of EVENTS) this.#raw.off(event, this.#on);
  }
}

const EVENTS = ['readable', 'end', 'close', 'error'] as const;
