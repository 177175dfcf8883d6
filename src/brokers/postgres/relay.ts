import type { Recorder } from '../carried/recorder.ts';
import type { Audit } from './audit.ts';
import type { Leg } from './leg.ts';
import { frame } from './messages.ts';
import { BACKEND, FRONTEND, Scanner } from './scanner.ts';

export interface RelayEvents {
  /** The client hung up; `politely` when it had said goodbye. */
  clientGone(politely: boolean): void;
  targetGone(): void;
  /** Whether what a client sent may still pass at this instant; cuts the session when not. */
  mayPass(): boolean;
  /** Somebody sent what the protocol does not know, or a text that can't be recorded. */
  violated(by: 'client' | 'target' | 'text'): void;
}

const TERMINATE = frame('X', Buffer.alloc(0));
/** How long the message that is under way at the cut may take to end, and the last words to arrive. */
const FINISH_MS = 200;
const LINGER_MS = 400;

/**
 * Carries bytes between client and target unchanged and shows them to the audit on the way. This is the hot path: a
 * chunk is scanned where it lies and written as it came; nothing is allocated per message.
 */
export class Relay {
  readonly #client: Leg;
  readonly #target: Leg;
  readonly #audit: Audit;
  readonly #recorder: Recorder;
  /** Milliseconds since the session began. */
  readonly #clock: () => number;
  readonly #events: RelayEvents;
  readonly #fromClient: Scanner;
  readonly #fromTarget: Scanner;
  #closing = false;
  /** What to say to the client at the next boundary of messages; with the last words the connection ends. */
  #insert: Buffer | null = null;
  #targetFull = false;
  #recorderFull = false;

  constructor(client: Leg, target: Leg, audit: Audit, recorder: Recorder, clock: () => number, events: RelayEvents) {
    this.#client = client;
    this.#target = target;
    this.#audit = audit;
    this.#recorder = recorder;
    this.#clock = clock;
    this.#events = events;
    this.#fromClient = new Scanner(FRONTEND, audit.client, audit.clientPiece);
    this.#fromTarget = new Scanner(BACKEND, audit.target);
  }

  start(): void {
    this.#client.socket.on('drain', () => this.#target.socket.resume());
    this.#target.socket.on('drain', () => {
      this.#targetFull = false;
      this.#hearClient();
    });
    this.#client.onGone(() => !this.#closing && this.#events.clientGone(this.#audit.terminated));
    this.#target.onGone(() => !this.#closing && this.#events.targetGone());
    this.#target.flow((bytes) => this.#down(bytes));
    this.#client.flow((bytes) => this.#up(bytes));
  }

  /** Puts a notice in between two messages to the client. */
  say(notice: Buffer): void {
    if (this.#closing) return;
    if (this.#fromTarget.atBoundary) this.#client.socket.write(notice);
    else this.#insert = notice;
  }

  /** The recorder has room again. */
  relieved(): void {
    this.#recorderFull = false;
    this.#hearClient();
  }

  /**
   * Ends both connections. `lastWords` reach the client between two messages; when the one that is under way does not
   * end soon, the connection just ends. Nothing that comes from the client from now on reaches the target.
   */
  close(lastWords: Buffer | null): void {
    if (this.#closing) return;
    this.#closing = true;
    if (lastWords === null || this.#fromTarget.atBoundary) return this.#part(lastWords);
    this.#insert = lastWords;
    this.#target.socket.resume();
    setTimeout(() => this.#part(null), FINISH_MS);
  }

  #up(bytes: Buffer): void {
    if (this.#closing) return;
    const audit = this.#audit;
    audit.now = this.#clock();
    // A process that stood still over the deadline may hear of what came meanwhile before its timers fire.
    if (!this.#events.mayPass()) return;
    audit.bytesIn += bytes.length;
    if (!this.#fromClient.scan(bytes) || audit.abused) return this.#events.violated('client');
    if (audit.unreadable) return this.#events.violated('text');
    if (!this.#target.socket.write(bytes)) {
      this.#targetFull = true;
      this.#client.socket.pause();
    }
    if (this.#recorder.congested) {
      this.#recorderFull = true;
      this.#client.socket.pause();
    }
  }

  #down(bytes: Buffer): void {
    if (this.#parted) return;
    if (this.#insert !== null) return this.#downAndInsert(bytes, this.#insert);
    const audit = this.#audit;
    audit.now = this.#clock();
    audit.bytesOut += bytes.length;
    if (!this.#fromTarget.scan(bytes)) return this.#events.violated('target');
    if (audit.abused) return this.#events.violated('client');
    const client = this.#client.socket;
    // TLS encrypts a borrowed chunk before `write` returns, unless an earlier one is still waiting: then it is kept.
    const kept = this.#target.borrowed && client.writableLength > 0 ? Buffer.from(bytes) : bytes;
    if (!client.write(kept)) this.#target.socket.pause();
  }

  #downAndInsert(bytes: Buffer, words: Buffer): void {
    const at = this.#fromTarget.boundaryIn(bytes);
    const audit = this.#audit;
    audit.now = this.#clock();
    const upTo = at < 0 ? bytes.length : at;
    audit.bytesOut += upTo;
    const own = Buffer.from(bytes);
    if (!this.#fromTarget.scan(own.subarray(0, upTo))) return this.#events.violated('target');
    this.#client.socket.write(own.subarray(0, upTo));
    if (at < 0) return;
    this.#insert = null;
    if (this.#closing) return this.#part(words);
    this.#client.socket.write(words);
    if (at < own.length) this.#down(own.subarray(at));
  }

  #hearClient(): void {
    if (!this.#targetFull && !this.#recorderFull) this.#client.socket.resume();
  }

  #parted = false;

  #part(lastWords: Buffer | null): void {
    if (this.#parted) return;
    this.#parted = true;
    const client = this.#client.socket;
    const target = this.#target.socket;
    // A polite end where nothing runs; elsewhere the backend is cancelled and finds nobody to answer to.
    if (this.#audit.busy || target.destroyed) target.destroy();
    else target.end(TERMINATE);
    if (lastWords) client.end(lastWords);
    else client.end();
    // What the client still sends is read and dropped: unread bytes would turn the end into a reset, and the last
    // words would be lost.
    client.resume();
    setTimeout(() => {
      client.destroy();
      target.destroy();
    }, LINGER_MS);
  }
}
