/** Checkpoints, the log's signed tree heads: c2sp.org/tlog-checkpoint over c2sp.org/signed-note. */
import { HASH_BYTES } from './merkle-tree.ts';
import { Malformed, readBase64, readDecimal } from './malformed.ts';
import { type NoteSigner, type NoteVerifier, openNote, parseNote, signNote } from './signed-note.ts';
import { verifyConsistency } from './verify-proof.ts';

export interface Checkpoint {
  /** Names the log for ever; also the name of the log's key. */
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** Writes the note text; no extension lines, for no monitor could audit them. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (origin === '' || /\p{Cc}/u.test(origin)) throw new Malformed('an origin is one line that is not empty');
  if (!Number.isSafeInteger(size) || size < 0) throw new Malformed('a tree size is a safe integer');
  if (root.length !== HASH_BYTES) throw new Malformed('a root has 32 bytes');
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/** Reads the text of a checkpoint note. Extension lines are allowed and left aside. @throws Malformed */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin, size, root, ...rest] = lines;
  if (rest.at(-1) !== '' || rest.slice(0, -1).includes('') || !origin || !size || !root) {
    throw new Malformed('a checkpoint is at least three lines, none of them empty');
  }
  const hash = readBase64(root, 'the root');
  if (hash.length !== HASH_BYTES) throw new Malformed('the root does not have 32 bytes');
  return { origin, size: readDecimal(size, 'the tree size'), root: hash };
}

/** The signer's name must be the origin: one key speaks for one log. */
export function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): string {
  if (signer.name !== checkpoint.origin) throw new RangeError('the log signs under its own origin');
  return signNote(formatCheckpoint(checkpoint), [signer]);
}

export interface OpenedCheckpoint extends Checkpoint {
  /** The note as it was read, to be kept and shown. */
  readonly note: string;
}

/**
 * Reads a checkpoint that the log's key signed. Witnesses' lines beside it are left aside.
 * @throws Malformed unless the key signed it and the origin is the key's name.
 */
export function openCheckpoint(note: Uint8Array, log: NoteVerifier): OpenedCheckpoint {
  const { text } = openNote(note, [log]);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== log.name) throw new Malformed('the checkpoint is of another log than the key');
  return { ...checkpoint, note: Buffer.from(note).toString() };
}

/** Reads a checkpoint without any trust in it, to learn which sizes to ask proofs for. @throws Malformed */
export function peekCheckpoint(note: Uint8Array): OpenedCheckpoint {
  return { ...parseCheckpoint(parseNote(note).text), note: Buffer.from(note).toString() };
}

/**
 * What two checkpoints of one log say about each other. All but the first are of interest to everybody who trusts the
 * log; `same_size_other_root` and `not_an_extension` convict it: it signed two histories.
 */
export type Comparison =
  | { readonly verdict: 'consistent' }
  | { readonly verdict: 'other_log' }
  /** The one seen later is smaller: an old state was restored, or the tail was cut off. */
  | { readonly verdict: 'size_regression' }
  | { readonly verdict: 'same_size_other_root' }
  /** The proof fits neither tree. Convicts the log only when the proof is known to be built from its own tiles. */
  | { readonly verdict: 'not_an_extension' };

/** Compares the checkpoint that somebody kept with the one seen now, by a consistency proof from the one to the other. */
export function compareCheckpoints(kept: Checkpoint, seen: Checkpoint, proof: readonly Uint8Array[]): Comparison {
  if (kept.origin !== seen.origin) return { verdict: 'other_log' };
  if (seen.size < kept.size) return { verdict: 'size_regression' };
  if (seen.size === kept.size && Buffer.compare(seen.root, kept.root) !== 0) return { verdict: 'same_size_other_root' };
  const fits = verifyConsistency({ older: kept, newer: seen, proof });
  return { verdict: fits ? 'consistent' : 'not_an_extension' };
}
