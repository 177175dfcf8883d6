/** G04: whatever the bytes, the verifier answers; it does not throw, and it does not take long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeAll, entriesOfLog, type LogFiles, publish, reader, SIGNER } from '#test/worlds/log-world.ts';
import { buildInclusionProof } from './build-proof.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { buildEvidence, verifyGrant } from './evidence.ts';
import { leafHash, nodeHash } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';
import { formatProof, openProof } from './proof.ts';
import { formatNote, MAX_SIGNATURES, type NoteVerifier, openNote, parseNote, parseVerifierKey } from './signed-note.ts';
import { verifyLog } from './verifier.ts';
import { verifyConsistency, verifyInclusion } from './verify-proof.ts';

const log = parseVerifierKey(SIGNER.vkey);
const rows = encodeAll(entriesOfLog(600));
const { files, checkpoints } = publish(rows, 300);
const checkpoint = checkpoints.at(-1) as string;

/** One of the ways in which bytes go wrong on purpose or by accident. */
interface Mutation {
  readonly how: 'flip' | 'cut' | 'insert' | 'repeat' | 'drop';
  readonly at: number;
  readonly bytes: Uint8Array;
}
const mutations = fc.array(
  fc.record({
    how: fc.constantFrom<Mutation['how'][]>('flip', 'cut', 'insert', 'repeat', 'drop'),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
  { minLength: 1, maxLength: 4 },
);

function mutate(original: Uint8Array, list: readonly Mutation[]): Buffer {
  return list.reduce<Buffer>((bytes, { how, at: part, bytes: extra }) => {
    const at = Math.floor(part * bytes.length);
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    if (how === 'cut') return head;
    if (how === 'insert') return Buffer.concat([head, extra, tail]);
    if (how === 'repeat') return Buffer.concat([head, tail.subarray(0, extra.length), tail]);
    if (how === 'drop') return Buffer.concat([head, tail.subarray(extra.length)]);
    const copy = Buffer.from(bytes);
    if (at < copy.length) copy[at] = (copy[at] as number) ^ (extra[0] as number);
    return copy;
  }, Buffer.from(original));
}

/** The answer, or `null` for a refusal of ours; anything else that is thrown fails the test. */
function refusing<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

test('G04: mutated checkpoints are refused, or are the same checkpoint', () => {
  const { size, root } = openCheckpoint(Buffer.from(checkpoint), log);
  fc.assert(
    fc.property(mutations, (list) => {
      const opened = refusing(() => openCheckpoint(mutate(Buffer.from(checkpoint), list), log));
      if (opened !== null) assert.deepEqual([opened.size, opened.root], [size, root]);
    }),
    { numRuns: 1500 },
  );
});

test('G04: mutated proof files are refused, or prove the same', async () => {
  const hashes = await buildInclusionProof(reader(files), 321, 600);
  const proof = Buffer.from(formatProof({ index: 321, hashes, checkpoint, extra: Buffer.from('extra') }));
  const entry = rows[321] as Buffer;
  fc.assert(
    fc.property(mutations, (list) => {
      const opened = refusing(() => openProof(mutate(proof, list), entry, log));
      if (opened !== null) assert.equal(opened.index, 321);
    }),
    { numRuns: 1500 },
  );
});

test('G04: arbitrary proofs, short, long and of wrong widths, never hold', () => {
  const hashes = fc.array(fc.uint8Array({ minLength: 31, maxLength: 33 }), { maxLength: 60 });
  const size = fc.oneof(fc.nat(1000), fc.maxSafeInteger(), fc.double());
  fc.assert(
    fc.property(hashes, size, size, fc.uint8Array({ minLength: 32, maxLength: 32 }), (proof, a, b, root) => {
      assert.equal(verifyInclusion({ leaf: leafHash(root), index: a, size: b, root, proof }), false);
      if (a !== b) assert.equal(verifyConsistency({ older: { size: a, root: leafHash(root) }, newer: { size: b, root }, proof }), false);
    }),
    { numRuns: 1000 },
  );
});

test('G04: whole logs with mutated files are reported on, and never found good', async () => {
  const paths = [...files.keys()].filter((path) => path !== 'log.vkey' && !path.includes('.p/44') && !(path.startsWith('tile/1') && path.endsWith('.p/1')));
  // After 600 entries only these are part of the log; older partial tiles may be anything.
  const current = paths.filter((path) => /^checkpoint$|\/00[01]$|002\.p\/88|^tile\/1\/000\.p\/2$/.test(path));
  assert.equal(current.length, 8);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...current), mutations, async (path, list) => {
      const original = Buffer.from(files.get(path) as Uint8Array);
      const changed = mutate(original, list);
      const spoilt: LogFiles = new Map(files).set(path, changed);
      const report = await verifyLog({ read: reader(spoilt), vkey: SIGNER.vkey });
      assert.equal(report.ok, changed.equals(original) || (path === 'checkpoint' && report.root !== null && report.size === 600));
    }),
    { numRuns: 150 },
  );
});

test('G04: mutated evidence is reported on', async () => {
  const evidence = await buildEvidence({ read: reader(files), vkey: SIGNER.vkey, checkpoint, indexes: [1, 2, 299, 599] });
  const bytes = Buffer.from(JSON.stringify(evidence));
  fc.assert(
    fc.property(mutations, (list) => {
      const report = verifyGrant(mutate(bytes, list), { vkey: SIGNER.vkey });
      // What it still proves are logged entries at their own indexes.
      for (const { index } of report.entries) assert.ok([1, 2, 299, 599].includes(index));
    }),
    { numRuns: 600 },
  );
});

test('G04: a node is not taken for a leaf, nor a leaf for a node', () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((n) => leafHash(Buffer.of(n))) as [Buffer, Buffer, Buffer, Buffer];
  const [left, right] = [nodeHash(a, b), nodeHash(c, d)];
  const root = nodeHash(left, right);
  // In a tree of two whose "entries" are the inner nodes' inputs, prefix or not, the root is another one.
  for (const entry of [Buffer.concat([a, b]), Buffer.concat([Buffer.of(1), a, b]), left]) {
    assert.equal(verifyInclusion({ leaf: leafHash(entry), index: 0, size: 2, root, proof: [right] }), false);
  }
  // An inner node presented as a leaf's hash would hold for a smaller tree: which is why the size is signed.
  assert.equal(verifyInclusion({ leaf: left, index: 0, size: 4, root, proof: [right] }), false);
});

test('G04: a key with the id of another verifies nothing, and two known ones with one name and id are refused', () => {
  const note = parseNote(Buffer.from(checkpoint));
  const colliding: NoteVerifier = { ...log, vkey: 'brevet.example/log+other', verify: () => true };
  assert.throws(() => openNote(Buffer.from(checkpoint), [log, colliding]), RangeError);
  const [line] = note.signatures;
  assert.ok(line);
  const forged = formatNote({ text: note.text.replace('600', '601'), signatures: [line] });
  assert.equal(refusing(() => openNote(Buffer.from(forged), [log])), null);
  const elsewhere = formatNote({ text: note.text, signatures: [{ ...line, name: 'brevet.example/lag' }] });
  assert.equal(refusing(() => openNote(Buffer.from(elsewhere), [log])), null);
});

test('G04: sixteen unknown signatures are left aside; a million are not even read', { timeout: 60_000 }, () => {
  const note = parseNote(Buffer.from(checkpoint));
  const strangers = Array.from({ length: MAX_SIGNATURES - 1 }, (_, i) => ({ name: `witness.example/${i}`, keyId: i, signature: Buffer.alloc(72, i) }));
  const many = formatNote({ text: note.text, signatures: [...strangers.slice(0, 16), ...note.signatures] });
  assert.equal(openCheckpoint(Buffer.from(many), log).size, 600);
  const line = checkpoint.slice(checkpoint.indexOf('—'));
  const million = Buffer.concat([Buffer.from(checkpoint), Buffer.alloc(Buffer.byteLength(line) * 1_000_000, line)]);
  assert.throws(() => openNote(million, [log]), /larger than/);
  // Short lines that fit the size are stopped by their number before any signature is checked.
  const short = Buffer.from(`${note.text}\n${'— a AAAAAAA=\n'.repeat(15_000)}`);
  assert.throws(() => openNote(short, [log]), /more than 64/);
});

test('G04: a signed checkpoint of an absurd size is answered', { timeout: 60_000 }, async () => {
  const absurd = signCheckpoint({ origin: SIGNER.name, size: Number.MAX_SAFE_INTEGER, root: Buffer.alloc(32) }, SIGNER);
  const report = await verifyLog({ read: reader(new Map(files).set('checkpoint', Buffer.from(absurd))), vkey: SIGNER.vkey });
  assert.equal(report.ok, false);
  const zero = signCheckpoint({ origin: SIGNER.name, size: 0, root: Buffer.alloc(32) }, SIGNER);
  assert.equal((await verifyLog({ read: reader(new Map(files).set('checkpoint', Buffer.from(zero))), vkey: SIGNER.vkey })).ok, false);
});
