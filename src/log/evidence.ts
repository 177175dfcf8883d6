/**
 * Evidence: the entries of one grant (or any others) with their proofs in one JSON file, for somebody who will not fetch
 * a whole log. Each entry is shown to be in the log at its index. That none was left out is not shown, and cannot be by
 * proofs of inclusion; the report names what is missing by what is there (`gaps`), and grants whose end is not there.
 */
import { TileHashes } from './build-proof.ts';
import { type OpenedCheckpoint, openCheckpoint, peekCheckpoint } from './checkpoint.ts';
import { type LogEntry, MAX_ENTRY_BYTES, parseEntry } from './entry.ts';
import { gapsOf, openGrants, requestsOf } from './grant-story.ts';
import { History } from './history.ts';
import { HASH_BYTES, inclusionRanges, leafHash, MAX_PROOF_HASHES } from './merkle-tree.ts';
import { Malformed, readBase64, readUtf8 } from './malformed.ts';
import { Findings, type Report } from './report.ts';
import { parseVerifierKey } from './signed-note.ts';
import { entriesPath, type ReadFile, splitBundle, TILE_WIDTH } from './tiles.ts';
import { reasonOf } from './verifier.ts';
import { verifyInclusion } from './verify-proof.ts';

export const EVIDENCE_FORMAT = 'brevet-evidence/v1';
const MAX_EVIDENCE_BYTES = 64 * 1024 * 1024;
export const MAX_EVIDENCE_ENTRIES = 10_000;

export interface EvidenceEntry {
  readonly index: number;
  /** The entry's bytes, which are UTF-8, as text. */
  readonly entry: string;
  /** Hashes in base64, from the leaf's sibling up. */
  readonly proof: readonly string[];
}

export interface Evidence {
  readonly format: typeof EVIDENCE_FORMAT;
  /** For convenience. Whoever verifies brings the key that is known to be the log's. */
  readonly vkey: string;
  /** The checkpoint note, verbatim. */
  readonly checkpoint: string;
  /** By rising index. */
  readonly entries: readonly EvidenceEntry[];
}

export interface EvidenceSource {
  readonly read: ReadFile;
  readonly vkey: string;
  readonly checkpoint: string;
  readonly indexes: readonly number[];
}

/** Gathers entries and proofs from the log's files, under a checkpoint. @throws Malformed, RangeError (index >= size) */
export async function buildEvidence({ read, vkey, checkpoint, indexes }: EvidenceSource): Promise<Evidence> {
  if (indexes.length > MAX_EVIDENCE_ENTRIES) throw new RangeError(`evidence holds at most ${MAX_EVIDENCE_ENTRIES} entries`);
  const { size } = peekCheckpoint(Buffer.from(checkpoint));
  const hashes = new TileHashes(read, size);
  const bundles = lastRead(read);
  const entries: EvidenceEntry[] = [];
  for (const index of [...new Set(indexes)].sort((a, b) => a - b)) {
    const proof = await hashes.hashes(inclusionRanges(index, size));
    const entry = await readEntry(bundles, index, size);
    entries.push({ index, entry: Buffer.from(entry).toString('utf8'), proof: proof.map((each) => Buffer.from(each).toString('base64')) });
  }
  return { format: EVIDENCE_FORMAT, vkey, checkpoint, entries };
}

/** Indexes rise: many entries of one grant come from the same file. */
function lastRead(read: ReadFile): ReadFile {
  let last: { readonly path: string; readonly bytes: ReturnType<ReadFile> } | null = null;
  return (path) => {
    if (last?.path !== path) last = { path, bytes: read(path) };
    return last.bytes;
  };
}

async function readEntry(read: ReadFile, index: number, size: number): Promise<Uint8Array> {
  const bundle = Math.floor(index / TILE_WIDTH);
  const width = Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH);
  const path = entriesPath({ index: bundle, width });
  const bytes = (await read(path)) ?? (width < TILE_WIDTH ? await read(entriesPath({ index: bundle, width: TILE_WIDTH })) : null);
  const entry = bytes === null ? undefined : splitBundle(bytes, TILE_WIDTH).entries[index % TILE_WIDTH];
  if (entry === undefined) throw new Malformed(`${path} is missing or does not hold entry ${index}`);
  return entry;
}

/** @throws Malformed. Says nothing yet about whether it is true. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  if (bytes.length > MAX_EVIDENCE_BYTES) throw new Malformed('the evidence is larger than 64 MiB');
  let value: unknown;
  try {
    value = JSON.parse(readUtf8(bytes, 'the evidence'));
  } catch {
    throw new Malformed('the evidence is not JSON');
  }
  const { format, vkey, checkpoint, entries } = members(value, ['checkpoint', 'entries', 'format', 'vkey']);
  if (format !== EVIDENCE_FORMAT) throw new Malformed(`the evidence is not of the format ${EVIDENCE_FORMAT}`);
  if (typeof vkey !== 'string' || typeof checkpoint !== 'string' || !Array.isArray(entries)) throw new Malformed('the evidence lacks its parts');
  if (entries.length > MAX_EVIDENCE_ENTRIES) throw new Malformed(`the evidence holds more than ${MAX_EVIDENCE_ENTRIES} entries`);
  let before = -1;
  const checked = entries.map((each) => {
    const item = parseItem(each);
    if (item.index <= before) throw new Malformed('the entries are not in the order of the log');
    before = item.index;
    return item;
  });
  return { format: EVIDENCE_FORMAT, vkey, checkpoint, entries: checked };
}

function parseItem(value: unknown): EvidenceEntry {
  const { index, entry, proof } = members(value, ['entry', 'index', 'proof']);
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) throw new Malformed('an index is not a number of an entry');
  if (typeof entry !== 'string' || entry.length > MAX_ENTRY_BYTES) throw new Malformed(`entry ${index} is not a text of at most ${MAX_ENTRY_BYTES} bytes`);
  if (!Array.isArray(proof) || proof.length > MAX_PROOF_HASHES || !proof.every((each) => typeof each === 'string')) {
    throw new Malformed(`the proof of entry ${index} is not a list of hashes`);
  }
  return { index, entry, proof };
}

function members(value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const given = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
  if (given.length !== names.length || !given.every((name) => names.includes(name))) {
    throw new Malformed(`the evidence does not have exactly the members ${names.join(', ')}`);
  }
  return value as Record<string, unknown>;
}

export interface EvidenceReport extends Report {
  /** The entries that were proved, by rising index. */
  readonly entries: readonly { readonly index: number; readonly entry: LogEntry }[];
  /** What belongs to the grants of this file and is not in it: what it holds may be true, and is not the whole story. */
  readonly gaps: readonly string[];
  /** Grants that have not ended in it, with their last known state: what came later, only the log shows. */
  readonly open: ReadonlyMap<string, string>;
}

/**
 * Verifies an evidence file: the checkpoint's signature, each entry's proof and form, and the history of what it holds.
 * With `grant`, every entry must belong to this grant, its requests or its sessions, and nothing that must be there may
 * be missing.
 * Never throws for what the file holds.
 */
export function verifyGrant(bytes: Uint8Array, known: { readonly vkey?: string; readonly grant?: string }): EvidenceReport {
  const findings = new Findings();
  const proved: { index: number; entry: LogEntry }[] = [];
  const trust = known.vkey === undefined ? 'found' : 'given';
  let checkpoint: OpenedCheckpoint | null = null;
  let origin: string | null = null;
  const history = new History('selection');
  try {
    const evidence = parseEvidence(bytes);
    const key = parseVerifierKey((known.vkey ?? evidence.vkey).trim());
    origin = key.name;
    checkpoint = openCheckpoint(Buffer.from(evidence.checkpoint), key);
    for (const item of evidence.entries) {
      const entry = verifyItem(item, checkpoint, history, findings);
      if (entry !== null) proved.push({ index: item.index, entry });
    }
    if (known.grant !== undefined) checkBelonging(known.grant, proved, history, findings);
  } catch (error) {
    findings.add('evidence', null, reasonOf(error));
  }
  const root = checkpoint === null ? null : Buffer.from(checkpoint.root).toString('base64');
  const entries = proved.map(({ entry }) => entry);
  const report = findings.report({ origin, size: checkpoint?.size ?? null, root, checked: proved.length, trust });
  return { ...report, entries: proved, gaps: gapsOf(entries), open: openGrants(entries, history) };
}

function verifyItem(item: EvidenceEntry, { size, root }: OpenedCheckpoint, history: History, findings: Findings): LogEntry | null {
  const { index } = item;
  try {
    const bytes = Buffer.from(item.entry);
    const proof = item.proof.map((each) => readBase64(each, 'a hash'));
    if (proof.some((each) => each.length !== HASH_BYTES) || !verifyInclusion({ leaf: leafHash(bytes), index, size, root, proof })) {
      findings.add('proof', index, `entry ${index} is not shown to be in the log`);
      return null;
    }
    const entry = parseEntry(bytes);
    const fault = history.apply(entry);
    if (fault !== null) findings.add('history', index, fault);
    return entry;
  } catch (error) {
    findings.add('entry', index, reasonOf(error));
    return null;
  }
}

function checkBelonging(grant: string, proved: readonly { index: number; entry: LogEntry }[], history: History, findings: Findings): void {
  if (history.stateOf('grant', grant) === null) findings.add('evidence', null, `the evidence says nothing of grant ${grant}`);
  const entries = proved.map(({ entry }) => entry);
  // An entry that was not proved is told of already, and what it leaves open as well.
  if (findings.list.length === 0) for (const gap of gapsOf(entries)) findings.add('evidence', null, gap);
  const requests = requestsOf(grant, entries);
  const sessions = new Set(entries.flatMap(({ data }) => (data['grant'] === grant ? [data['session']] : [])));
  for (const { index, entry } of proved) {
    const { grant: of, request, session } = entry.data;
    const belongs = of === grant || (of === undefined && ((request !== undefined && requests.has(request)) || (session !== undefined && sessions.has(session))));
    if (!belongs) findings.add('evidence', index, `entry ${index} is not of grant ${grant}`);
  }
}
