/** The committed vectors against the code, and the code against values that others published. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeVectors, readVectors } from '#test/vectors/log/make.ts';
import { canonicalJson, parseCanonicalJson } from '#domain/canonical-json.ts';
import type { Json } from '#domain/json.ts';
import { openCheckpoint } from './checkpoint.ts';
import { encodeEntry, type LogEntry, parseEntry } from './entry.ts';
import { EMPTY_ROOT, leafHash } from './merkle-tree.ts';
import { openProof } from './proof.ts';
import { openNote, parseNote, parseSignerKey, parseVerifierKey, signNote } from './signed-note.ts';
import { parseLogPath } from './tiles.ts';
import { verifyConsistency, verifyInclusion } from './verify-proof.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const text = (value: string): Buffer => Buffer.from(value);

test('the vectors are what the code makes', () => {
  for (const [name, vectors] of Object.entries(makeVectors())) assert.deepEqual(readVectors(name), vectors, name);
});

test('tree vectors hold by verification, and have the roots that Certificate Transparency published', () => {
  const v = readVectors('merkle-tree') as unknown as {
    entries: string[];
    leafHashes: string[];
    roots: string[];
    inclusion: { index: number; size: number; proof: string[] }[];
    consistency: { older: number; newer: number; proof: string[] }[];
  };
  const root = (size: number): Buffer => bytes(v.roots[size] as string);
  assert.deepEqual(v.entries.map((entry) => leafHash(bytes(entry)).toString('hex')), v.leafHashes);
  for (const { index, size, proof } of v.inclusion) {
    assert.ok(verifyInclusion({ leaf: bytes(v.leafHashes[index] as string), index, size, root: root(size), proof: proof.map(bytes) }));
  }
  for (const { older, newer, proof } of v.consistency) {
    assert.ok(verifyConsistency({ older: { size: older, root: root(older) }, newer: { size: newer, root: root(newer) }, proof: proof.map(bytes) }));
  }
  assert.equal(Buffer.from(EMPTY_ROOT).toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assert.deepEqual(v.roots.slice(1, 9), [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]);
  const published = v.consistency.find(({ older, newer }) => older === 3 && newer === 8);
  assert.deepEqual(published?.proof, [
    '0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7',
    '07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ]);
});

test('notes of the reference implementation and of the specification verify, and are signed to the same bytes', () => {
  const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  const skey = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
  const words = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const note = `${words}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
  assert.equal(openNote(text(note), [parseVerifierKey(vkey)]).text, words);
  assert.equal(signNote(words, [parseSignerKey(skey)]), note);
  assert.equal(parseSignerKey(skey).vkey, vkey);
  const specified = 'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
  const key = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
  assert.equal(openNote(text(specified), [key]).text, 'This is an example message.\n');
});

test('the checkpoint that the specification shows is read', () => {
  const shown = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n';
  const [line] = parseNote(text(shown)).signatures;
  assert.deepEqual([line?.name, line?.signature.length], ['example.com/behind-the-sofa', 64]);
});

test('note vectors: the valid are opened, the invalid refused', () => {
  const v = readVectors('signed-note') as unknown as { skey: string; vkey: string; valid: string[]; invalid: { why: string; note: string }[]; checkpoint: { note: string; size: number; root: string } };
  const key = parseVerifierKey(v.vkey);
  for (const note of v.valid) {
    openNote(text(note), [key]);
    assert.equal(signNote(parseNote(text(note)).text, [parseSignerKey(v.skey)]), note);
  }
  for (const { why, note } of v.invalid) assert.throws(() => openNote(text(note), [key]), /./, why);
  const { size, root } = openCheckpoint(text(v.checkpoint.note), key);
  assert.deepEqual([size, Buffer.from(root).toString('hex')], [v.checkpoint.size, v.checkpoint.root]);
});

test('path, JSON, entry and proof vectors', () => {
  const tiles = readVectors('tiles') as unknown as { tilePaths: { level: number; index: number; width: number; path: string }[]; invalidPaths: string[] };
  for (const { path, ...tile } of tiles.tilePaths) assert.deepEqual(parseLogPath(path), { kind: 'tile', ...tile });
  for (const path of tiles.invalidPaths) assert.equal(parseLogPath(path), null, path);

  const json = readVectors('canonical-json') as unknown as { valid: { input: string; output: string }[]; notCanonical: string[]; notJson: string[] };
  for (const { input, output } of json.valid) {
    assert.equal(canonicalJson(JSON.parse(input) as Json), output);
    assert.deepEqual(parseCanonicalJson(output), JSON.parse(output));
  }
  for (const each of [...json.notCanonical, ...json.notJson]) assert.throws(() => parseCanonicalJson(each), SyntaxError, each);

  const entry = readVectors('entry') as unknown as { given: string; written: string; leafHash: string; refused: string[] };
  const written = encodeEntry(JSON.parse(entry.given) as LogEntry);
  assert.deepEqual([written.toString(), leafHash(written).toString('hex')], [entry.written, entry.leafHash]);
  for (const each of entry.refused) assert.throws(() => parseEntry(text(each)), /./, each);

  const proofs = readVectors('tlog-proof') as unknown as { vkey: string; valid: { entry: string; proof: string }[] };
  for (const { entry, proof } of proofs.valid) openProof(text(proof), bytes(entry), parseVerifierKey(proofs.vkey));
});
