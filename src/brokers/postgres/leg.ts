import { connect, type Socket } from 'node:net';
import { ProtocolError } from './messages.ts';

/**
 * One read buffer for every unencrypted upstream connection of the process. What it holds is scanned and handed on
 * before the callback returns, so nothing is allocated per read and an idle session costs no buffer.
 */
const SHARED = Buffer.allocUnsafeSlow(128 * 1024);

/** Why reading stopped: the peer went away, took too long, or sent more than it may. */
export class LegClosed extends Error {
  override readonly name = 'LegClosed';
}

export interface Message {
  readonly type: number;
  readonly body: Buffer;
}

interface Waiting {
  readonly size: number;
  readonly resolve: (bytes: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One side of a session. While it starts up, messages are taken one by one (`take`, `message`); after `flow` every
 * arriving chunk goes straight to a listener.
 */
export class Leg {
  readonly socket: Socket;
  /** Whether chunks are only valid until the listener returns. */
  readonly borrowed: boolean;
  #queue: Buffer[] = [];
  #queued = 0;
  #limit = 256 * 1024;
  #waiting: Waiting | null = null;
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | null = null;
  #listener: ((bytes: Buffer) => void) | null = null;

  constructor(socket: Socket, borrowed = false) {
    this.socket = socket;
    this.borrowed = borrowed;
    if (!borrowed) socket.on('data', (bytes: Buffer) => this.deliver(bytes));
    socket.on('error', (error) => this.#fail(new LegClosed(error.message)));
    socket.on('end', () => this.#fail(new LegClosed('the peer closed the connection')));
    socket.on('close', () => this.#fail(new LegClosed('the connection is closed')));
  }

  deliver(bytes: Buffer): void {
    if (this.#listener) return this.#listener(bytes);
    this.#queue.push(this.borrowed ? Buffer.from(bytes) : bytes);
    this.#queued += bytes.length;
    if (this.#queued > this.#limit) {
      this.#fail(new ProtocolError('more was sent than belongs here'));
      this.socket.destroy();
      return;
    }
    this.#serve();
  }

  /** Waits for exactly `size` bytes. @throws LegClosed, ProtocolError */
  take(size: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { size, resolve, reject };
      this.#serve();
    });
  }

  /** Waits for one typed message whose body has at most `limit` bytes. */
  async message(limit: number): Promise<Message> {
    const header = await this.take(5);
    const size = header.readInt32BE(1) - 4;
    if (size < 0 || size > limit) throw new ProtocolError('a message with an impossible length');
    return { type: header[0] as number, body: size === 0 ? Buffer.alloc(0) : await this.take(size) };
  }

  /** Ends the connection unless `disarm` comes within `ms`: no single step may be drawn out. */
  arm(ms: number, what: string): void {
    this.disarm();
    this.#timer = setTimeout(() => {
      this.#fail(new LegClosed(`${what} took too long`));
      this.socket.destroy();
    }, ms);
  }

  disarm(): void {
    clearTimeout(this.#timer);
  }

  /** What has arrived and was not taken: how much, and its first byte. */
  get pending(): { readonly bytes: number; readonly first: number | undefined } {
    return { bytes: this.#queued, first: this.#queue[0]?.[0] };
  }

  get gone(): boolean {
    return this.#failure !== null;
  }

  /** From now on every chunk goes to `listener`, beginning with what has arrived already. */
  flow(listener: (bytes: Buffer) => void): void {
    const rest = Buffer.concat(this.#queue);
    this.#queue = [];
    this.#queued = 0;
    this.#listener = listener;
    if (rest.length > 0) listener(rest);
  }

  /** Calls back once when the peer is gone; at once when it already is. */
  onGone(listener: () => void): void {
    if (this.#failure) return listener();
    let told = false;
    const tell = () => {
      if (told) return;
      told = true;
      listener();
    };
    this.socket.on('end', tell).on('close', tell).on('error', tell);
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    if (this.#queued < waiting.size) {
      if (this.#failure) {
        this.#waiting = null;
        waiting.reject(this.#failure);
      }
      return;
    }
    const all = this.#queue.length === 1 ? (this.#queue[0] as Buffer) : Buffer.concat(this.#queue);
    this.#waiting = null;
    this.#queue = all.length > waiting.size ? [all.subarray(waiting.size)] : [];
    this.#queued = all.length - waiting.size;
    waiting.resolve(all.subarray(0, waiting.size));
  }

  #fail(error: Error): void {
    this.disarm();
    this.#failure ??= error;
    this.#serve();
  }
}

/** Connects to `host:port`. @throws LegClosed when that fails or takes longer than `timeoutMs` */
export async function connectLeg(host: string, port: number, timeoutMs: number): Promise<Leg> {
  let leg: Leg | undefined;
  const socket = connect({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    onread: {
      buffer: SHARED,
      callback: (size: number, buffer: Uint8Array) => {
        leg?.deliver((buffer as Buffer).subarray(0, size));
        return true;
      },
    },
  });
  leg = new Leg(socket, true);
  leg.arm(timeoutMs, 'connecting');
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    leg.onGone(() => reject(new LegClosed('no connection')));
  });
  leg.disarm();
  return leg;
}
