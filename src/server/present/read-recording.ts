import type { App } from '#app/app.ts';
import { chunkIdentity } from '#app/ports/sealed-identity.ts';
import type { Answer } from '#contract/routes.ts';
import type { SessionId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { RecordedStatement, RecordingReading } from '../deps.ts';

type Wire = Omit<Answer<'recording'>, 'session'>;

/** Of 64 KB each, held at a time. */
const CHUNKS_AT_ONCE = 16;
/** Characters of one answer, or little more. A prepared statement is written once and answered with each execution: what counts is the answer. */
const MOST_CHARACTERS = 2_000_000;
/** What a statement takes besides its text. */
const BESIDES = 200;

/**
 * A page of a recording. It is read from its beginning each time, since a statement may have been prepared there; of what was
 * before the page nothing is held. The cursor is the chunk, and how many of its statements were shown.
 */
export async function readRecordingPage(app: App, reading: RecordingReading, id: SessionId, cursor: string | null): Promise<Wire> {
  const [seq = 0, shown = 0] = cursor?.split('.').map(Number) ?? [];
  const statements: Wire['statements'] = [];
  let characters = 0;
  /** Answers where the next page begins, once this one is full. */
  const add = (of: number, rows: readonly RecordedStatement[]): string | null => {
    if (of < seq) return null;
    for (let at = of === seq ? shown : 0; at < rows.length; at++) {
      const one = rows[at] as RecordedStatement;
      characters += one.text.length + BESIDES;
      if (statements.length > 0 && characters > MOST_CHARACTERS) return `${of}.${at}`;
      statements.push({ ...one, at: one.at.toISOString() });
    }
    return null;
  };
  let from = 0;
  for (let more = true; more; ) {
    const chunks = await app.store.transaction((tx) => tx.sessions.chunks(id, from, CHUNKS_AT_ONCE));
    for (const chunk of chunks) {
      if (chunk.sealed === null) throw new Refusal('wrong_state', 'the recording was destroyed: whose session it was is erased');
      const rows = reading.chunk(app.secrets.open(chunk.sealed, chunkIdentity(id, chunk.seq)));
      if (rows === null) return { complete: false, statements: [], next: null };
      const next = add(chunk.seq, rows);
      if (next !== null) return { complete: false, statements, next };
    }
    from += chunks.length;
    more = chunks.length === CHUNKS_AT_ONCE;
  }
  const rest = reading.rest();
  const next = add(from, rest.statements);
  return { complete: rest.complete && next === null, statements, next };
}
