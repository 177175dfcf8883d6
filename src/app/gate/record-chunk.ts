import { createHash } from 'node:crypto';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { RecordingChunk } from '../ports/gate.ts';
import { chunkIdentity } from '../ports/sealed-identity.ts';

/** A chunk is bounded (D06); brokers send much less. */
const LARGEST_CHUNK = 1024 * 1024;

/**
 * Keeps one stretch of a recording, sealed, chained to the one before. Its end state, in the log, stands for all of it.
 * @throws Refusal `payload_too_large`, `recorder_unavailable`: the broker then ends the session
 */
export async function recordChunk(app: App, chunk: RecordingChunk): Promise<void> {
  if (chunk.bytes.length > LARGEST_CHUNK) throw new Refusal('payload_too_large', 'a recording chunk holds at most 1 MiB');
  const hash = createHash('sha256').update(chunk.bytes).digest('hex');
  const sealed = app.secrets.seal(chunk.bytes, chunkIdentity(chunk.session, chunk.seq));
  const kept = await app.store.transaction((tx) => tx.sessions.appendChunk(chunk.session, chunk.seq, sealed, hash, chunk.events, tx.now));
  if (!kept) throw new Refusal('recorder_unavailable', 'a stretch of the recording is missing');
}
