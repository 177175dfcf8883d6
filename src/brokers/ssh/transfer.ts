import { createHash, type Hash } from 'node:crypto';
import type { JsonObject } from '#domain/json.ts';

/** Bytes of one file that went one way: how many, and the SHA-256 as long as each came right behind the one before. */
export class Transfer {
  #hash: Hash | null = null;
  #next = 0;
  #ordered = true;
  bytes = 0;
  /** Writes that the server refused. */
  failed = 0;

  /** The bytes that follow belong at `offset`. */
  seek(offset: number): void {
    if (offset !== this.#next) this.#ordered = false;
    this.#next = offset;
  }

  add(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#next += bytes.length;
    if (this.#ordered) (this.#hash ??= createHash('sha256')).update(bytes);
  }

  /** Nobody has seen all that is in the file: part of it was copied on the server. */
  disorder(): void {
    this.#ordered = false;
  }

  facts(): JsonObject {
    return {
      bytes: this.bytes,
      ...(this.#ordered ? { sha256: (this.#hash ?? createHash('sha256')).digest('hex') } : { unordered: true }),
      ...(this.failed > 0 ? { failed: this.failed } : {}),
    };
  }
}
