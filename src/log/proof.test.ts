import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeAll, entriesOfLog, publish, reader, SIGNER } from '#test/worlds/log-world.ts';
import { buildInclusionProof } from './build-proof.ts';
import { Malformed } from './malformed.ts';
import { formatProof, openProof, parseProof } from './proof.ts';
import { formatSignerKey, parseSignerKey, parseVerifierKey } from './signed-note.ts';

const entries = encodeAll(entriesOfLog(300));
const { files, checkpoints } = publish(entries);
const checkpoint = checkpoints.at(-1) as string;
const log = parseVerifierKey(SIGNER.vkey);
const hashes = await buildInclusionProof(reader(files), 270, 300);
const proof = formatProof({ index: 270, hashes, checkpoint, extra: null });

test('a proof file holds for its entry and its log alone', () => {
  assert.ok(proof.startsWith('c2sp.org/tlog-proof@v1\nindex 270\n'));
  const opened = openProof(Buffer.from(proof), entries[270] as Buffer, log);
  assert.deepEqual([opened.index, opened.checkpoint.size], [270, 300]);
  assert.throws(() => openProof(Buffer.from(proof), entries[271] as Buffer, log), Malformed);
  const stranger = parseVerifierKey(parseSignerKey(formatSignerKey(SIGNER.name, Buffer.alloc(32, 9))).vkey);
  assert.throws(() => openProof(Buffer.from(proof), entries[270] as Buffer, stranger), Malformed);
});

test('extra data is carried, and read back', () => {
  const text = formatProof({ index: 270, hashes, checkpoint, extra: Buffer.from('context') });
  assert.deepEqual(Buffer.from(parseProof(Buffer.from(text)).extra as Uint8Array).toString(), 'context');
  assert.equal(formatProof(parseProof(Buffer.from(text))), text);
});

test('a proof for the only entry has no hashes', () => {
  const one = publish(entries.slice(0, 1));
  const text = formatProof({ index: 0, hashes: [], checkpoint: one.checkpoints[0] as string, extra: null });
  assert.equal(openProof(Buffer.from(text), entries[0] as Buffer, log).index, 0);
});

test('malformed proof files are refused', () => {
  const line = proof.split('\n')[2] as string;
  const bad = ['', 'c2sp.org/tlog-proof@v1', proof.replace('@v1', '@v2'), proof.replace('index 270', 'index 0270'), proof.replace('index 270', 'index -1'), proof.replace('index 270\n', ''), proof.replace('index', 'extra !\nindex'), proof.replace(`${line}\n`, ''), proof.replace(line, `${line}\n${line}`), proof.replace(line, 'AAAA'), proof.replace(line, ` ${line}`), proof.replace('\n\n', '\n'), proof.replaceAll('\n', '\r\n'), proof.replace(line, `${line}\n`.repeat(60) + line)];
  for (const text of bad) assert.throws(() => openProof(Buffer.from(text), entries[270] as Buffer, log), Malformed, JSON.stringify(text.slice(0, 80)));
});
