import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareCheckpoints, formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts';
import { leafHash } from './merkle-tree.ts';
import { Malformed } from './malformed.ts';
import { formatNote, formatSignerKey, formatVerifierKey, MAX_SIGNATURES, type NoteSigner, openNote, parseNote, parseSignerKey, parseVerifierKey, signNote } from './signed-note.ts';

const signer = (name: string, fill: number): NoteSigner => parseSignerKey(formatSignerKey(name, Buffer.alloc(32, fill)));
const log = signer('log.example', 1);
const other = signer('log.example', 2);
const witness = signer('witness.example', 3);
const verifier = (of: NoteSigner) => parseVerifierKey(of.vkey);
const bytes = (text: string): Buffer => Buffer.from(text);

test('a note is signed, read and verified; the signature is over the text alone', () => {
  const note = signNote('one\n\ntwo\n', [log, witness]);
  const opened = openNote(bytes(note), [verifier(log)]);
  assert.equal(opened.text, 'one\n\ntwo\n');
  assert.deepEqual(opened.by.map(({ name }) => name), ['log.example']);
  assert.equal(openNote(bytes(note), [verifier(log), verifier(witness)]).by.length, 2);
  assert.equal(formatNote(parseNote(bytes(note))), note);
});

test('signatures of unknown keys are left aside, also with the name of a known one', () => {
  const note = signNote('text\n', [other, log]);
  assert.equal(openNote(bytes(note), [verifier(log)]).by.length, 1);
  assert.throws(() => openNote(bytes(signNote('text\n', [other])), [verifier(log)]), Malformed);
  assert.throws(() => openNote(bytes(note), []), Malformed);
});

test('one bad signature under a known key spoils the note', () => {
  const good = parseNote(bytes(signNote('text\n', [log])));
  const [line] = good.signatures;
  assert.ok(line);
  const forged = { ...line, signature: other.sign(bytes('text\n')) };
  for (const signatures of [[forged], [line, forged], [forged, line], [{ ...line, signature: line.signature.subarray(1) }]]) {
    assert.throws(() => openNote(bytes(formatNote({ text: 'text\n', signatures })), [verifier(log)]), Malformed);
  }
  assert.throws(() => openNote(bytes(signNote('text\n', [log]).replace('text', 'test')), [verifier(log)]), Malformed);
});

test('malformed notes are refused', () => {
  const note = signNote('text\n', [log]);
  const bad = ['', '\n', 'text\n', note.slice(0, -1), note.replace('\n\n', '\n'), note.replace('—', '-'), note.replace('— ', '—  '), note.replace('text', 'te\tt'), note.replace('text', 'te\rt'), note.replace('=\n', '\n'), `${note}\n`, `${note}x\n`, note.replace('log.example', 'log+example'), note.replace('log.example', 'log\u00a0example'), note.replace('log.example', '')];
  for (const text of bad) assert.throws(() => openNote(bytes(text), [verifier(log)]), Malformed, JSON.stringify(text));
  assert.throws(() => parseNote(Buffer.concat([Buffer.of(0xff), bytes(note)])), Malformed);
  assert.throws(() => parseNote(Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes(note)])) && openNote(Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), bytes(note)]), [verifier(log)]), Malformed);
  assert.throws(() => signNote('no newline', [log]), Malformed);
  assert.throws(() => signNote('bell\u0007\n', [log]), Malformed);
  assert.throws(() => signNote('text\n', []), Malformed);
  assert.throws(() => signNote('text\n', Array.from({ length: MAX_SIGNATURES + 1 }, () => log)), Malformed);
});

test('keys that are not what they say are refused, and no part of a secret is repeated', () => {
  const secret = formatSignerKey('log.example', Buffer.alloc(32, 1));
  const bad = ['', 'log.example', log.vkey.replace('log', 'lag'), log.vkey.replace(/\+.{8}\+/, '+00000000+'), `${log.vkey}A`, log.vkey.replace('+A', '+B'), 'a b+00000000+AAAA'];
  for (const key of bad) assert.throws(() => parseVerifierKey(key), Malformed, key);
  for (const key of [log.vkey, secret.slice(0, -2), secret.replace('log', 'lag'), secret.toLowerCase()]) {
    assert.throws(() => parseSignerKey(key), (error) => error instanceof Malformed && !error.message.includes(secret.slice(-20, -4)));
  }
  assert.throws(() => formatVerifierKey('log.example', Buffer.alloc(31)), RangeError);
  assert.throws(() => formatVerifierKey('two words', Buffer.alloc(32)), Malformed);
});

test('a checkpoint is opened only for its own log', () => {
  const checkpoint = { origin: 'log.example', size: 3, root: leafHash(bytes('x')) };
  const note = signCheckpoint(checkpoint, log);
  const opened = openCheckpoint(bytes(note), verifier(log));
  assert.deepEqual({ size: opened.size, root: opened.root, note: opened.note }, { size: 3, root: checkpoint.root, note });
  assert.throws(() => openCheckpoint(bytes(note), verifier(other)), Malformed);
  const foreign = signNote(formatCheckpoint({ ...checkpoint, origin: 'other.example' }), [log]);
  assert.throws(() => openCheckpoint(bytes(foreign), verifier(log)), Malformed);
  assert.throws(() => signCheckpoint(checkpoint, witness), RangeError);
});

test('the text of a checkpoint is read strictly', () => {
  const root = leafHash(bytes('x')).toString('base64');
  assert.equal(parseCheckpoint(`o\n0\n${root}\nextension\n`).size, 0);
  const bad = [`o\n1\n${root}`, `o\n1\n`, `\n1\n${root}\n`, `o\n01\n${root}\n`, `o\n-1\n${root}\n`, `o\n1e3\n${root}\n`, `o\n9007199254740992\n${root}\n`, `o\n99999999999999999999\n${root}\n`, `o\n1\n${root.slice(0, -1)}\n`, `o\n1\nAAAA\n`, `o\n1\n${root}\n\nx\n`, `o\n1 \n${root}\n`];
  for (const text of bad) assert.throws(() => parseCheckpoint(text), Malformed, JSON.stringify(text));
});

test('two checkpoints are compared by size, root and proof', () => {
  const [a, b] = [leafHash(bytes('a')), leafHash(bytes('b'))];
  const kept = { origin: 'log.example', size: 3, root: a };
  assert.equal(compareCheckpoints(kept, kept, []).verdict, 'consistent');
  assert.equal(compareCheckpoints(kept, { ...kept, root: b }, []).verdict, 'same_size_other_root');
  assert.equal(compareCheckpoints(kept, { ...kept, size: 2 }, []).verdict, 'size_regression');
  assert.equal(compareCheckpoints(kept, { ...kept, size: 4 }, [a, b]).verdict, 'not_an_extension');
  assert.equal(compareCheckpoints(kept, { ...kept, origin: 'x' }, []).verdict, 'other_log');
});
