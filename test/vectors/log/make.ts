/**
 * Makes the vectors of this folder. `node test/vectors/log/make.ts` writes them anew; a change in them is a change of
 * the log's formats, and a test notices it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { canonicalJson } from '#domain/canonical-json.ts';
import type { Json } from '#domain/json.ts';
import { signCheckpoint } from '#log/checkpoint.ts';
import { encodeEntry, type LogEntry, parseEntry } from '#log/entry.ts';
import { CompactRange, consistencyRanges, inclusionRanges, leafHash, type LeafRange } from '#log/merkle-tree.ts';
import { formatProof } from '#log/proof.ts';
import { formatSignerKey, parseSignerKey, signNote } from '#log/signed-note.ts';
import { newTiles, tilePath, entriesPath } from '#log/tiles.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The eight entries that Certificate Transparency's implementations have always been tested with, and twelve more. */
export const ENTRIES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  .map((text) => Buffer.from(text, 'hex'))
  .concat(Array.from({ length: 12 }, (_, i) => Buffer.from(`entry ${i + 8}`)));

const leaves = ENTRIES.map(leafHash);
const rootOver = ({ start, end }: LeafRange): Uint8Array => {
  const tree = new CompactRange();
  for (const leaf of leaves.slice(start, end)) tree.append(leaf);
  return tree.root();
};
const PAIRS = [[0, 1], [0, 2], [1, 2], [0, 8], [5, 8], [2, 3], [1, 5], [6, 7], [12, 13], [0, 20], [15, 20], [16, 20], [19, 20]] as const;
const STEPS = [[0, 5], [1, 1], [1, 8], [6, 8], [2, 5], [3, 8], [4, 8], [7, 8], [8, 20], [13, 20], [16, 20], [20, 20]] as const;

function merkleTree(): Json {
  return {
    entries: ENTRIES.map(hex),
    leafHashes: leaves.map(hex),
    roots: Array.from({ length: ENTRIES.length + 1 }, (_, size) => hex(rootOver({ start: 0, end: size }))),
    inclusion: PAIRS.map(([index, size]) => ({ index, size, proof: inclusionRanges(index, size).map(rootOver).map(hex) })),
    consistency: STEPS.map(([older, newer]) => ({ older, newer, proof: consistencyRanges(older, newer).map(rootOver).map(hex) })),
  };
}

const SKEY = formatSignerKey('brevet.example/log', Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex'));

function signedNotes(): Json {
  const signer = parseSignerKey(SKEY);
  const checkpoint = signCheckpoint({ origin: signer.name, size: 20, root: rootOver({ start: 0, end: 20 }) }, signer);
  const note = signNote('first line\n\nthird line\n', [signer]);
  return {
    skey: SKEY,
    vkey: signer.vkey,
    valid: [note, checkpoint],
    checkpoint: { note: checkpoint, origin: signer.name, size: 20, root: hex(rootOver({ start: 0, end: 20 })) },
    invalid: [
      { why: 'another text', note: note.replace('first', 'First') },
      { why: 'no empty line', note: note.replace('\n\n— ', '\n— ') },
      { why: 'no last newline', note: note.slice(0, -1) },
      { why: 'a hyphen for the dash', note: note.replace('—', '-') },
      { why: 'a tab in the text', note: note.replace(' ', '\t') },
      { why: 'base64 without its padding', note: note.replace('=\n', '\n') },
      { why: 'only a key of another name', note: note.replace('brevet.example/log', 'brevet.example/lag') },
      { why: 'a bad signature of a known key beside a good one', note: note + note.slice(note.indexOf('—')).replace(/.{6}=\n$/, 'AAAAAA=\n') },
    ],
  };
}

function tiles(): Json {
  const sizes = [1, 255, 256, 257, 70_000].map((size) => ({
    size,
    partialAndTop: newTiles(0, size).filter(({ width, level }) => width < 256 || level > 0).map(tilePath),
    tiles: newTiles(0, size).length,
  }));
  return {
    tilePaths: [[0, 0, 256], [0, 0, 1], [0, 5, 255], [1, 999, 256], [0, 1000, 256], [2, 1_234_067, 17], [63, 0, 1]].map(([level = 0, index = 0, width = 0]) => ({
      level, index, width, path: tilePath({ level, index, width }),
    })),
    entriesPaths: [[0, 256], [0, 44], [1_234_067, 256]].map(([index = 0, width = 0]) => ({ index, width, path: entriesPath({ index, width }) })),
    invalidPaths: ['tile/0/0', 'tile/00/000', 'tile/64/000', 'tile/0/x000/001', 'tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/001/234', 'tile/entries/x1/000'],
    sizes,
  };
}

function canonical(): Json {
  const inputs = ['{"b":[1.0,1E2,-0,0.000001,1e-7,1e21],"a":null}', '{"\\u20ac":1,"\\u0021":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}', '"\\u0041\\/\\b\\u001f\\u007f\\""', '[ ]', '{"10":1,"9":2}'];
  return {
    valid: inputs.map((input) => ({ input, output: canonicalJson(JSON.parse(input) as Json) })),
    notCanonical: ['{"b":1,"a":2}', '{"a":1,"a":1}', '[1, 2]', '[1.0]', '[-0]', '"\\u0041"', '{"9":1,"10":2}'],
    notJson: ['"\\ud800"', 'nul', '[1,]', ''],
  };
}

const ENTRY: LogEntry = {
  v: 1,
  id: 'evt_01kjm4rp400000000000000001',
  at: '2026-03-01T09:30:00.000Z',
  type: 'grant.active',
  actor: 'system',
  data: { grant: 'grt_01kjm4rp400000000000000002', request: 'req_01kjm4rp400000000000000003', deadline: '2026-03-01T10:30:00.000Z', durationSeconds: 3600, answer: 'café\r\n\u001b[31m', password: 'x' },
  personal: { subject: 'per_01kjm4rp400000000000000004', alg: 'A256GCM', sealed: 'c2VhbGVk' },
};

function entries(): Json {
  const bytes = encodeEntry(ENTRY);
  const text = bytes.toString();
  return {
    given: JSON.stringify(ENTRY),
    written: text,
    leafHash: hex(leafHash(bytes)),
    refused: [text.replace('{', '{ '), text.replace('"v":1', '"v":2'), text.replace(',"v":1', ',"u":1,"v":1'), text.replace('café', 'caf\\u00e9'), text.replace('café', 'caf\\n'), text.replace('grant.active', 'active'), text.replace('evt_', 'grt_')],
    readsBackAs: parseEntry(bytes) as unknown as Json,
  };
}

function proofs(): Json {
  const signer = parseSignerKey(SKEY);
  const checkpoint = signCheckpoint({ origin: signer.name, size: 20, root: rootOver({ start: 0, end: 20 }) }, signer);
  const of = (index: number, extra: Uint8Array | null): Json => ({
    entry: hex(ENTRIES[index] as Uint8Array),
    proof: formatProof({ index, hashes: inclusionRanges(index, 20).map(rootOver), checkpoint, extra }),
  });
  return { vkey: signer.vkey, valid: [of(0, null), of(5, Buffer.from('extra')), of(19, null)] };
}

/** Every file of this folder, by its name. */
export function makeVectors(): Record<string, Json> {
  return { 'merkle-tree': merkleTree(), 'signed-note': signedNotes(), tiles: tiles(), 'canonical-json': canonical(), entry: entries(), 'tlog-proof': proofs() };
}

const fileOf = (name: string): URL => new URL(`${name}.json`, import.meta.url);

export function readVectors(name: string): Json {
  return JSON.parse(readFileSync(fileOf(name), 'utf8')) as Json;
}

if (import.meta.main) {
  for (const [name, vectors] of Object.entries(makeVectors())) writeFileSync(fileOf(name), `${JSON.stringify(vectors, null, 2)}\n`);
}
