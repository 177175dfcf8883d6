import { createHash, type Hash } from 'node:crypto';
import type { MaskRules } from './mask-rules.ts';
import { MaskStream } from './mask-stream.ts';

const NOTHING = new Uint8Array(0);

/**
 * One direction of a channel's output on its way into the recording: masked, and of a stream that is no terminal only the
 * beginning. What is left out is counted and hashed.
 */
export class RecordedStream {
  readonly #mask: MaskStream;
  readonly #most: number;
  readonly #hash: Hash | null;
  /** What came from the target. */
  bytes = 0;
  /** Of these, what is not in the recording. */
  left = 0;

  constructor(rules: MaskRules, most: number) {
    this.#mask = new MaskStream(rules);
    this.#most = most;
    // A terminal is recorded as a whole: its hash would say nothing that the recording does not.
    this.#hash = most === Infinity ? null : createHash('sha256');
  }

  get masked(): number {
    return this.#mask.masked;
  }

  /** Answers what goes into the recording of these bytes, and of earlier ones that were held back. */
  take(bytes: Uint8Array): Uint8Array {
    const room = this.#most - (this.bytes - this.left);
    this.bytes += bytes.length;
    if (bytes.length <= room) return this.#keep(this.#mask.push(bytes, false));
    if (room === 0 && this.left > 0) return this.#leave(bytes);
    const kept = this.#keep(this.#mask.push(bytes.subarray(0, room), true));
    this.#leave(bytes.subarray(room));
    return kept;
  }

  /** What was held back to the end. */
  finish(): Uint8Array {
    return this.left > 0 ? NOTHING : this.#keep(this.#mask.push(NOTHING, true));
  }

  /** SHA-256 of the whole stream, what is masked as it is shown: else it would let a reader try out what was masked. */
  digest(): Buffer | null {
    return this.#hash?.copy().digest() ?? null;
  }

  #keep(shown: Uint8Array): Uint8Array {
    this.#hash?.update(shown);
    return shown;
  }

  #leave(bytes: Uint8Array): Uint8Array {
    this.#hash?.update(bytes);
    this.left += bytes.length;
    return NOTHING;
  }
}
