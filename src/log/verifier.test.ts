import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { encodeAll, entriesOfLog, entryOf, type LogFiles, numberedId, publish, reader, SIGNER } from '#test/worlds/log-world.ts';
import { readLogFolder } from './log-folder.ts';
import type { Report } from './report.ts';
import { formatSignerKey, parseSignerKey } from './signed-note.ts';
import { decodeBundle, encodeBundle } from './tiles.ts';
import { verifyLog, type VerifyOptions } from './verifier.ts';

const entries = encodeAll(entriesOfLog(1000));
const honest = publish(entries, 300);
const last = honest.checkpoints.at(-1) as string;
const verify = (files: LogFiles, more: Partial<VerifyOptions> = {}): Promise<Report> => verifyLog({ read: reader(files), vkey: SIGNER.vkey, ...more });
const notes = (...texts: (string | undefined)[]): Uint8Array[] => texts.map((text) => Buffer.from(text as string));
const kinds = (report: Report): string[] => report.findings.map(({ kind }) => kind);

/** The same log with other entries in the bundle files: what a server serves after a row was touched in its database. */
function tampered(change: (rows: Buffer[]) => Buffer[]): LogFiles {
  const files = new Map(honest.files);
  const rows = change([...entries]);
  for (const [index, width] of [[0, 256], [1, 256], [2, 256], [3, 232]] as const) {
    files.set(`tile/entries/00${index}${width < 256 ? `.p/${width}` : ''}`, encodeBundle(rows.slice(index * 256, index * 256 + width)));
  }
  return files;
}

/** Files published anew over other entries, under the checkpoint that was signed for the genuine ones. */
const rewritten = (rows: readonly Uint8Array[]): LogFiles => new Map(publish(rows).files).set('checkpoint', Buffer.from(last));
const edited = (row: Buffer): Buffer => Buffer.from(row.toString().replace('2026-03', '2026-04'));

test('an honest log verifies, from memory and from a folder', async () => {
  const seen: number[] = [];
  const report = await verify(honest.files, { onProgress: (done) => seen.push(done), kept: notes(...honest.checkpoints) });
  assert.deepEqual(report.findings, []);
  assert.deepEqual([report.ok, report.size, report.checked, report.firstBad, report.trust, seen], [true, 1000, 1000, null, 'given', [1000]]);
  const folder = await mkdtemp(join(tmpdir(), 'brevet-log-'));
  try {
    for (const [path, bytes] of honest.files) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), bytes);
    }
    const found = await verifyLog({ read: readLogFolder(folder) });
    assert.deepEqual([found.ok, found.trust, found.origin], [true, 'found', SIGNER.name]);
    assert.equal(await readLogFolder(folder)('../checkpoint'), null);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an empty log and one of a single full tile verify', async () => {
  for (const size of [0, 1, 255, 256, 257]) {
    const report = await verify(publish(entries.slice(0, size)).files);
    assert.deepEqual([report.ok, report.checked], [true, size], JSON.stringify(report.findings));
  }
});

test('G01: an edited row is named', async () => {
  for (const index of [0, 255, 256, 700, 768, 999]) {
    const report = await verify(tampered((rows) => rows.with(index, edited(rows[index] as Buffer))));
    assert.deepEqual([report.ok, report.firstBad, kinds(report)], [false, index, ['leaf']]);
  }
});

test('G01: a deleted, an inserted and two exchanged rows are named', async () => {
  const deleted = await verify(tampered((rows) => rows.toSpliced(300, 1)));
  assert.equal(deleted.firstBad, 300);
  const inserted = await verify(tampered((rows) => rows.toSpliced(600, 0, rows[10] as Buffer)));
  assert.equal(inserted.firstBad, 600);
  const exchanged = await verify(tampered((rows) => rows.with(400, rows[401] as Buffer).with(401, rows[400] as Buffer)));
  assert.equal(exchanged.firstBad, 400);
  const shortened = await verify(tampered((rows) => rows.toSpliced(999, 1)));
  assert.deepEqual([shortened.ok, shortened.firstBad], [false, 999]);
});

test('G01: a row edited together with its leaf tile is caught by the tile above', async () => {
  const index = 300;
  const rows = entries.with(index, edited(entries[index] as Buffer));
  const files = tampered(() => rows);
  files.set('tile/0/001', publish(rows).files.get('tile/0/001') as Uint8Array);
  const report = await verify(files);
  assert.deepEqual(kinds(report), ['tile']);
  assert.deepEqual([report.findings[0]?.index, report.findings[0]?.through], [256, 512]);
});

test('G01: a log rewritten with all its tiles does not have the signed root, and kept checkpoints say from where', async () => {
  const files = rewritten(entries.with(650, edited(entries[650] as Buffer)));
  const report = await verify(files, { kept: notes(...honest.checkpoints.slice(0, 3)) });
  assert.deepEqual([kinds(report), report.firstBad, report.findings[0]?.through], [['root'], 600, 1000]);
  assert.deepEqual(report.misbehaviour, []);
});

test('a damaged tile is told apart from a changed entry', async () => {
  const files = new Map(honest.files);
  const tile = Buffer.from(files.get('tile/0/001') as Uint8Array);
  tile[5 * 32] = (tile[5 * 32] as number) ^ 1;
  files.set('tile/0/001', tile);
  const report = await verify(files);
  assert.deepEqual([kinds(report), report.firstBad], [['tile'], 261]);
  assert.match(report.findings[0]?.message ?? '', /the entry itself is the logged one/);
});

test('missing files are named', async () => {
  for (const [path, index] of [['tile/entries/002', 512], ['tile/0/001', 256], ['tile/1/000.p/3', 0], ['tile/entries/003.p/232', 768]] as const) {
    const files = new Map(honest.files);
    assert.ok(files.delete(path), path);
    const report = await verify(files);
    assert.deepEqual([report.firstBad, kinds(report)], [index, ['missing']], path);
  }
  for (const path of ['checkpoint', 'log.vkey']) {
    const files = new Map(honest.files);
    files.delete(path);
    assert.equal((await verifyLog({ read: reader(files) })).ok, false);
  }
});

test('G02: a tail cut off, or an old backup restored, is noticed by whoever kept a checkpoint', async () => {
  const old = publish(entries.slice(0, 900), 300);
  assert.equal((await verify(old.files)).ok, true);
  const report = await verify(old.files, { kept: notes(last) });
  assert.deepEqual([kinds(report), report.firstBad], [['size_regression'], 900]);
  assert.deepEqual(report.misbehaviour, [{ kept: last, seen: old.checkpoints.at(-1) }]);
});

test('G02: another root for the same size, signed by the log, is proof of two histories', async () => {
  const forked = publish(entries.with(650, edited(entries[650] as Buffer)), 300);
  const report = await verify(forked.files, { kept: notes(last) });
  assert.deepEqual([report.ok, kinds(report)], [false, ['split_view']]);
  assert.deepEqual(report.misbehaviour, [{ kept: last, seen: forked.checkpoints.at(-1) }]);
});

test('G02: a grown log that dropped its past is convicted by an older checkpoint, and the good part is known', async () => {
  const forked = publish(entries.with(650, edited(entries[650] as Buffer)), 1000);
  const report = await verify(forked.files, { kept: notes(honest.checkpoints[2], honest.checkpoints[0], honest.checkpoints[1]) });
  assert.deepEqual([kinds(report), report.firstBad, report.findings[0]?.through], [['split_view'], 600, 900]);
  assert.deepEqual(report.misbehaviour, [{ kept: honest.checkpoints[2], seen: forked.checkpoints[0] }]);
});

test('a checkpoint of another key proves nothing, neither as the head nor as a kept one', async () => {
  const stranger = parseSignerKey(formatSignerKey(SIGNER.name, Buffer.alloc(32, 8)));
  const foreign = publish(entries, 300, stranger);
  assert.deepEqual(kinds(await verify(foreign.files)), ['checkpoint']);
  const report = await verify(honest.files, { kept: notes(foreign.checkpoints[0]) });
  assert.deepEqual([kinds(report), report.misbehaviour], [['checkpoint'], []]);
});

test('entries that are logged and are not entries, or tell the impossible, are named', async () => {
  const ended = entryOf('grant.ended', { grant: numberedId('grant', 7777) });
  const bad = [Buffer.from('not json'), Buffer.from('{"v": 1}'), ...encodeAll([ended])];
  const report = await verify(publish([...entries, ...bad]).files);
  assert.deepEqual(report.findings.map(({ kind, index }) => [kind, index]), [['entry', 1000], ['entry', 1001], ['history', 1002]]);
  assert.match(report.findings[2]?.message ?? '', /becomes ended without ever having begun/);
});

test('a bundle with bytes behind its entries is refused', async () => {
  const files = new Map(honest.files);
  const bundle = files.get('tile/entries/001') as Uint8Array;
  assert.equal(decodeBundle(bundle, 256).length, 256);
  files.set('tile/entries/001', Buffer.concat([bundle, Buffer.of(0, 0)]));
  assert.equal((await verify(files)).ok, false);
});
