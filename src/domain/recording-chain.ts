import { createHash } from 'node:crypto';

/**
 * The hash (SHA-256, hex) that stands for a recording up to and with one chunk: of the previous chunk's hash, empty for
 * the first, followed by the SHA-256 of the chunk's plain bytes, both as lower-case hex text. The last one goes into the
 * log as the recording's root.
 */
export function chainHash(previous: string | null, plainHash: string): string {
  return createHash('sha256').update((previous ?? '') + plainHash).digest('hex');
}
