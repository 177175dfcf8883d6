import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';

/** So much on its way in one direction of a channel, and its source has to wait. */
const MOST_IN_FLIGHT = 256 * 1024;
/**
 * ssh2 writes into a socket whatever a channel's window allows, and a client may open a window of 4 GiB and not read: with more
 * than this in it nothing is added.
 */
const MOST_IN_SOCKET = 1024 * 1024;

export interface FlowEvents {
  /** Looks at a chunk before it passes; `false` stops it and the flow. */
  pass(bytes: Buffer): boolean;
  /** The source has ended and everything has been handed on. */
  ended(): void;
}

/** What holds every flow of a session back. */
export interface Brakes {
  /** The recorder is behind. */
  readonly congested: boolean;
}

/**
 * Carries bytes in one direction between channels, as fast as the slower side takes them. It never ends or closes its
 * destination: when `ended` is called all bytes are with ssh2, and an exit status, an end of file or a close may follow. (Piping
 * would end it at once, and the close that follows would overtake what waits for the window.)
 */
export class Flow {
  readonly #from: Readable;
  readonly #to: Writable;
  readonly #socket: Socket;
  readonly #brakes: Brakes;
  readonly #events: FlowEvents;
  #inFlight = 0;
  #over = false;
  #stopped = false;
  #ended = false;
  /** Bytes carried. */
  bytes = 0;

  /** `socket` is the one that the destination's bytes leave by. */
  constructor(from: Readable, to: Writable, socket: Socket, brakes: Brakes, events: FlowEvents) {
    this.#from = from;
    this.#to = to;
    this.#socket = socket;
    this.#brakes = brakes;
    this.#events = events;
    from.on('data', (bytes: Buffer) => this.#carry(bytes));
    from.on('end', () => {
      this.#over = true;
      this.#finish();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Looks again whether the source has to wait: the socket has drained, or the recorder has caught up. */
  wake(): void {
    if (!this.#stopped && this.#from.isPaused() && !this.#mustWait) this.#from.resume();
  }

  /** Nothing passes any more. What still comes is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#from.resume();
  }

  get #mustWait(): boolean {
    return this.#inFlight > MOST_IN_FLIGHT || this.#socket.writableLength > MOST_IN_SOCKET || this.#brakes.congested;
  }

  #carry(bytes: Buffer): void {
    if (this.#stopped || !this.#events.pass(bytes) || this.#hasStopped()) return;
    this.bytes += bytes.length;
    this.#inFlight += bytes.length;
    this.#to.write(bytes, () => {
      this.#inFlight -= bytes.length;
      this.wake();
      this.#finish();
    });
    if (this.#mustWait) this.#from.pause();
  }

  /** Looking at a chunk may have stopped the flow. */
  #hasStopped(): boolean {
    return this.#stopped;
  }

  #finish(): void {
    if (!this.#over || this.#inFlight > 0 || this.#ended || this.#stopped) return;
    this.#ended = true;
    this.#events.ended();
  }
}
