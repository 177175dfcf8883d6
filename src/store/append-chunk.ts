import type { SessionId } from '#domain/id.ts';
import { chainHash } from '#domain/recording-chain.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Sql } from './sql.ts';

interface Chunk {
  readonly id: SessionId;
  readonly seq: number;
  readonly sealed: Uint8Array;
  /** SHA-256 of the plain bytes, hex. */
  readonly plainHash: string;
  readonly events: number;
  readonly at: Date;
}

/**
 * Keeps a chunk once; the same chunk again is fine, another under its number is not (D04). Once a session has ended its
 * root stands in the log, and nothing is added.
 * @throws Refusal `conflict`, `wrong_state`
 */
export async function appendChunk(sql: Sql, { id, seq, sealed, plainHash, events, at }: Chunk): Promise<boolean> {
  // Held against `end`, which takes the last hash as the root, and against another chunk of the same session.
  const session = await sql.row<{ state: string }>('select state from brevet.sessions where id = $1 for no key update', [id]);
  const known = await sql.rows<{ seq: number; hash: string }>(
    'select seq, hash from brevet.recording_chunks where session_id = $1 and seq in ($2, $2 - 1)', [id, seq]);
  const hashOf = (number: number) => known.find((each) => each.seq === number)?.hash ?? null;
  const [previous, kept] = [hashOf(seq - 1), hashOf(seq)];
  if (session === null || (seq > 0 && previous === null)) return false;
  const hash = chainHash(previous, plainHash);
  if (kept === hash) return true;
  if (kept !== null) throw new Refusal('conflict', `chunk ${seq} of this recording was kept with other bytes`);
  if (session.state === 'ended') throw new Refusal('wrong_state', 'the recording is closed: its session has ended');
  await sql.run(
    'insert into brevet.recording_chunks (session_id, seq, sealed, events, hash, at) values ($1, $2, $3, $4, $5, $6)',
    [id, seq, sealed, events, hash, at]);
  return true;
}
