import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { buildConsistencyProof, buildInclusionProof } from './build-proof.ts';
import { CompactRange, leafHash } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';
import { partialTiles, TileEdge } from './tile-edge.ts';
import { decodeBundle, encodeBundle, entriesPath, narrowTile, newTiles, parseLogPath, type ReadFile, splitBundle, tilePath } from './tiles.ts';
import { verifyConsistency, verifyInclusion } from './verify-proof.ts';

test('paths are written and read in one spelling only', () => {
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), 'tile/0/x001/x234/067');
  assert.equal(tilePath({ level: 63, index: 0, width: 1 }), 'tile/63/000.p/1');
  assert.equal(entriesPath({ index: 999, width: 255 }), 'tile/entries/999.p/255');
  assert.equal(entriesPath({ index: 1000, width: 256 }), 'tile/entries/x001/000');
  const bad = ['tile/0/0', 'tile/00/000', 'tile/64/000', 'tile/0/x000/001', 'tile/0/000.p/0', 'tile/0/000.p/256', 'tile/0/000.p/01', 'tile/0/001/234', 'tile/0/x001/x234', 'tile/-1/000', 'tile/0/000/', '/tile/0/000', 'tile/0/../000', 'tile/entries/x1/000', 'tile/0/000.p/1\n', 'checkpoint', ''];
  for (const path of bad) assert.equal(parseLogPath(path), null, path);
  for (const tile of [{ level: 0, index: -1, width: 1 }, { level: 64, index: 0, width: 1 }, { level: 0, index: 0, width: 0 }, { level: 0, index: 0, width: 257 }]) {
    assert.throws(() => tilePath(tile), RangeError);
  }
});

test('property: every address is read back from its path', () => {
  const address = fc.record({ level: fc.nat(63), index: fc.nat(2 ** 31 - 1), width: fc.integer({ min: 1, max: 256 }) });
  fc.assert(fc.property(address, (tile) => assert.deepEqual(parseLogPath(tilePath(tile)), { kind: 'tile', ...tile })));
  fc.assert(fc.property(address, ({ index, width }) => assert.deepEqual(parseLogPath(entriesPath({ index, width })), { kind: 'entries', index, width })));
});

test('the tiles of a tree of 70,000 are those that the specification counts', () => {
  const tiles = newTiles(0, 70_000);
  const at = (level: number, full: boolean) => tiles.filter((tile) => tile.level === level && (tile.width === 256) === full);
  assert.deepEqual([at(0, true).length, at(1, true).length, at(2, true).length], [273, 1, 0]);
  assert.deepEqual(partialTiles(70_000), [{ level: 0, index: 273, width: 112 }, { level: 1, index: 1, width: 17 }, { level: 2, index: 0, width: 1 }]);
  assert.deepEqual(newTiles(0, 256), [{ level: 0, index: 0, width: 256 }, { level: 1, index: 0, width: 1 }]);
  assert.deepEqual(newTiles(256, 256), []);
  assert.deepEqual(newTiles(255, 257), [{ level: 0, index: 0, width: 256 }, { level: 0, index: 1, width: 1 }, { level: 1, index: 0, width: 1 }]);
});

test('bundles carry lengths in 16 bits, and entries that fit them', () => {
  const entries = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(0xffff, 7)];
  const bundle = encodeBundle(entries);
  assert.equal(bundle.subarray(0, 5).toString('hex'), '0000000161');
  assert.deepEqual(decodeBundle(bundle, 3), entries);
  assert.throws(() => encodeBundle([Buffer.alloc(0x1_0000)]), RangeError);
  for (const [bytes, width] of [[bundle, 2], [bundle, 4], [bundle.subarray(0, -1), 3], [Buffer.concat([bundle, Buffer.of(0)]), 3]] as const) {
    assert.throws(() => decodeBundle(bytes, width), Malformed);
  }
  assert.deepEqual(splitBundle(bundle.subarray(0, -1), 3), { entries: entries.slice(0, 2), whole: false });
});

const leaf = (i: number): Buffer => leafHash(Buffer.from(String(i)));

/** Tiles published batch by batch, forgetting the partial tiles of before as a log may. */
function published(batches: readonly number[]): { read: ReadFile; edge: TileEdge; tree: CompactRange } {
  const files = new Map<string, Uint8Array>();
  let edge = new TileEdge();
  const tree = new CompactRange();
  for (const batch of batches) {
    for (const tile of partialTiles(edge.size)) files.delete(tilePath(tile));
    const older = edge.size;
    // Between batches the edge is stored and taken up by another process.
    edge = TileEdge.restore(edge.state());
    const leaves = Array.from({ length: batch }, (_, i) => leaf(older + i));
    const tiles = [...edge.append(leaves), ...edge.partials()];
    for (const each of leaves) tree.append(each);
    for (const tile of tiles) files.set(tilePath(tile), tile.bytes);
    const written = tiles.map(tilePath).toSorted();
    assert.deepEqual(newTiles(older, edge.size).map(tilePath).filter((path) => !written.includes(path)), []);
  }
  return { read: (path) => Promise.resolve(files.get(path) ?? null), edge, tree };
}

test('property: however a log is batched, its edge has the root, and its tiles give every proof', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(), async (batches, a, b) => {
      const { read, edge, tree } = published(batches);
      const root = tree.root();
      assert.deepEqual(edge.root(), root);
      assert.deepEqual((await TileEdge.read(read, edge.size)).root(), root);
      const size = edge.size;
      const index = a % size;
      assert.ok(verifyInclusion({ leaf: leaf(index), index, size, root, proof: await buildInclusionProof(read, index, size) }));
      const older = 1 + (b % size);
      const before = new CompactRange();
      for (let i = 0; i < older; i++) before.append(leaf(i));
      const proof = await buildConsistencyProof(read, older, size);
      assert.ok(verifyConsistency({ older: { size: older, root: before.root() }, newer: { size, root }, proof }));
    }),
    { numRuns: 25 },
  );
});

test('a tree of three tile levels', async () => {
  const { read, edge, tree } = published([65_536, 300]);
  const size = edge.size;
  const root = tree.root();
  assert.deepEqual(edge.root(), root);
  for (const index of [0, 255, 256, 65_535, 65_536, size - 1]) {
    assert.ok(verifyInclusion({ leaf: leaf(index), index, size, root, proof: await buildInclusionProof(read, index, size) }));
  }
});

test('a proof for an older size is built from wider tiles, and a missing tile is named', async () => {
  const { read, tree } = published([200, 56]);
  const proof = await buildInclusionProof(read, 3, 200);
  const before = new CompactRange();
  for (let i = 0; i < 200; i++) before.append(leaf(i));
  assert.ok(verifyInclusion({ leaf: leaf(3), index: 3, size: 200, root: before.root(), proof }));
  assert.equal(tree.size, 256);
  await assert.rejects(buildInclusionProof(() => Promise.resolve(null), 3, 200), /tile\/0\/000\.p\/200 is missing/);
  await assert.rejects(buildInclusionProof(() => Promise.resolve(Buffer.alloc(32)), 3, 200), Malformed);
  const short: ReadFile = (path) => Promise.resolve(path.includes('.p/') ? null : Buffer.alloc(32));
  await assert.rejects(buildInclusionProof(short, 3, 200), Malformed);
  assert.equal(narrowTile(Buffer.alloc(64), 3), null);
});

test('an edge that does not fit its size is refused', () => {
  const { edge } = published([300]).edge.state();
  for (const state of [{ size: 301, edge }, { size: 300, edge: edge.slice(0, 1) }, { size: 300, edge: [...edge, Buffer.alloc(32)] }, { size: -1, edge: [] }]) {
    assert.throws(() => TileEdge.restore(state), RangeError);
  }
});
