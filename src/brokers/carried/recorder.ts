import type { Gate } from '#app/ports/gate.ts';
import type { SessionId } from '#domain/id.ts';

/** A chunk is handed in when it has this many bytes, or at the next tick of the broker's clock. */
const CHUNK_BYTES = 64 * 1024;
/** With so many chunks not yet kept the client is held back. */
const WINDOW = 8;
/** More than this unsaved, and the recorder counts as failed. */
const MOST_UNSAVED = 4 * 1024 * 1024;
const ACK_MS = 5_000;

/** What a protocol writes its recording into, in its own format. */
export interface ChunkWriter {
  /** Bytes written since the last `take`. */
  readonly size: number;
  /** Statements, or commands, among them. */
  readonly events: number;
  /** The chunk so far, not to be changed any more; the next one starts empty. `idle` when nothing more is expected soon. */
  take(idle: boolean): Uint8Array;
}

export interface RecorderEvents {
  /** The recorder can't keep up or failed. Called once. */
  failed(): void;
  /** There is room again after `congested`. */
  relieved(): void;
}

/**
 * Hands a session's recording to the gate in dense chunks, one after the other: two on their way at once could arrive the
 * wrong way round, and the second would look like a gap. Fails closed: a chunk refused, not acknowledged in time, or
 * too much unsaved, and the session is over.
 */
export class Recorder<Writer extends ChunkWriter = ChunkWriter> {
  readonly writer: Writer;
  readonly #gate: Gate;
  readonly #session: SessionId;
  readonly #events: RecorderEvents;
  #seq = 0;
  #sending = false;
  #unsaved = 0;
  #held: { bytes: Uint8Array; events: number }[] = [];
  #failed = false;
  #settled: (() => void)[] = [];

  constructor(writer: Writer, gate: Gate, session: SessionId, events: RecorderEvents) {
    this.writer = writer;
    this.#gate = gate;
    this.#session = session;
    this.#events = events;
  }

  /** Whether the client must be held back until `relieved`. */
  get congested(): boolean {
    return this.#waiting >= WINDOW;
  }

  get #waiting(): number {
    return this.#held.length + (this.#sending ? 1 : 0);
  }

  /** To be called after records were written. */
  wrote(): void {
    if (this.writer.size >= CHUNK_BYTES) this.flush(false);
  }

  /** Hands in what is there. `idle` when nothing more is expected soon. */
  flush(idle: boolean): void {
    if (this.writer.size === 0 || this.#failed) return;
    const events = this.writer.events;
    const bytes = this.writer.take(idle);
    this.#unsaved += bytes.length;
    if (this.#unsaved > MOST_UNSAVED) return this.#fail();
    if (this.#sending) this.#held.push({ bytes, events });
    else void this.#send(bytes, events);
  }

  /** Waits until everything handed in is acknowledged. `false` when the recorder has failed. */
  async settle(): Promise<boolean> {
    while (!this.#failed && this.#waiting > 0) {
      await new Promise<void>((resolve) => this.#settled.push(resolve));
    }
    return !this.#failed;
  }

  async #send(bytes: Uint8Array, events: number): Promise<void> {
    this.#sending = true;
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        this.#gate.record({ session: this.#session, seq: this.#seq++, bytes, events }),
        new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error('no acknowledgement')), ACK_MS);
        }),
      ]);
    } catch {
      this.#fail();
    } finally {
      clearTimeout(timer);
    }
    this.#sending = false;
    this.#unsaved -= bytes.length;
    const next = this.#failed ? undefined : this.#held.shift();
    if (next) void this.#send(next.bytes, next.events);
    if (!this.#failed && this.#waiting === WINDOW - 1) this.#events.relieved();
    if (this.#waiting === 0 || this.#failed) this.#wake();
  }

  #wake(): void {
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }

  #fail(): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#held = [];
    this.#wake();
    this.#events.failed();
  }
}
