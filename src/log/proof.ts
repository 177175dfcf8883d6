/**
 * One entry's proof as a file of its own (`.tlog-proof`): c2sp.org/tlog-proof@v1. It holds the index, the inclusion proof
 * and the signed checkpoint; with the entry and the log's key anybody can check it offline.
 */
import { type OpenedCheckpoint, openCheckpoint } from './checkpoint.ts';
import { HASH_BYTES, leafHash, MAX_PROOF_HASHES } from './merkle-tree.ts';
import { Malformed, readBase64, readDecimal, readUtf8 } from './malformed.ts';
import { MAX_NOTE_BYTES, type NoteVerifier } from './signed-note.ts';
import { verifyInclusion } from './verify-proof.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';
const MAX_EXTRA_BYTES = 64 * 1024;
const MAX_PROOF_BYTES = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES;

export interface LogProof {
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The checkpoint note, verbatim. */
  readonly checkpoint: string;
  /** Not authenticated by anything: context only. */
  readonly extra: Uint8Array | null;
}

export function formatProof({ index, hashes, checkpoint, extra }: LogProof): string {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError('an index is a safe integer');
  const lines = [HEADER];
  if (extra !== null) lines.push(`extra ${Buffer.from(extra).toString('base64')}`);
  lines.push(`index ${index}`, ...hashes.map((each) => Buffer.from(each).toString('base64')), '');
  return `${lines.join('\n')}\n${checkpoint}`;
}

/** @throws Malformed. Reading is not believing: see `openProof`. */
export function parseProof(bytes: Uint8Array): LogProof {
  if (bytes.length > MAX_PROOF_BYTES) throw new Malformed(`the proof is larger than ${MAX_PROOF_BYTES} bytes`);
  const text = readUtf8(bytes, 'the proof');
  const gap = text.indexOf('\n\n');
  if (gap === -1) throw new Malformed('the proof has no checkpoint');
  const lines = text.slice(0, gap).split('\n');
  if (lines.shift() !== HEADER) throw new Malformed(`the proof does not begin with ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') ? readBase64(String(lines.shift()).slice(6), 'the extra data') : null;
  const index = lines.shift();
  if (index === undefined || !index.startsWith('index ')) throw new Malformed('the proof has no index');
  if (lines.length > MAX_PROOF_HASHES) throw new Malformed(`the proof has more than ${MAX_PROOF_HASHES} hashes`);
  const hashes = lines.map((line) => readBase64(line, 'a hash'));
  if (hashes.some((each) => each.length !== HASH_BYTES)) throw new Malformed('a hash does not have 32 bytes');
  return { index: readDecimal(index.slice(6), 'the index'), hashes, checkpoint: text.slice(gap + 2), extra };
}

/** Reads a proof and checks it against the entry and the log's key. @throws Malformed when it proves nothing. */
export function openProof(bytes: Uint8Array, entry: Uint8Array, log: NoteVerifier): { index: number; checkpoint: OpenedCheckpoint } {
  const { index, hashes, checkpoint: note } = parseProof(bytes);
  const checkpoint = openCheckpoint(Buffer.from(note), log);
  const { size, root } = checkpoint;
  if (!verifyInclusion({ leaf: leafHash(entry), index, size, root, proof: hashes })) {
    throw new Malformed('the proof does not lead from this entry to the checkpoint');
  }
  return { index, checkpoint };
}
