import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '#domain/json.ts';
import { ScpReader } from './scp-reader.ts';

type Said = readonly ['sender' | 'receiver', string];
const OK: Said = ['receiver', '\0'];
const sha256 = (bytes: string) => createHash('sha256').update(bytes).digest('hex');

function eventsOf(said: readonly Said[], split = Infinity): { readonly events: readonly JsonObject[]; readonly broken: string | null } {
  const events: JsonObject[] = [];
  const reader = new ScpReader((event) => events.push(event));
  for (const [side, text] of said) {
    const bytes = Buffer.from(text, 'latin1');
    for (let at = 0; at < bytes.length; at += split) {
      if (side === 'sender') reader.fromSender(bytes.subarray(at, at + split));
      else reader.fromReceiver(bytes.subarray(at, at + split));
    }
  }
  reader.end();
  return { events, broken: reader.broken };
}

const SESSION: readonly Said[] = [
  OK, ['sender', 'T1 0 2 0\n'], OK, ['sender', 'D0755 0 dir\n'], OK,
  ['sender', 'C0644 5 a\n'], OK, ['sender', 'hello\0'], OK,
  ['sender', 'C0600 3 secret\n'], ['receiver', '\u0001scp: dir/secret: Permission denied\n'],
  ['sender', 'C0644 0 empty\n'], OK, ['sender', '\0'], OK,
  ['sender', 'E\n'], OK, ['sender', '\u0001scp: gone: No such file or directory\n'],
  ['sender', 'C0644 2 b\n'], OK, ['sender', 'xy\0'], ['receiver', '\u0001scp: b: No space left\n'],
];

test('files are told with bytes and hash, and what the other side said of them', () => {
  assert.deepEqual(eventsOf(SESSION), { broken: null, events: [
    { op: 'folder', path: 'dir', permissions: '0755', outcome: 'ok' },
    { op: 'file', path: 'dir/a', permissions: '0644', size: 5, bytes: 5, sha256: sha256('hello'), outcome: 'ok' },
    { op: 'file', path: 'dir/secret', permissions: '0600', size: 3, outcome: 'scp: dir/secret: Permission denied' },
    { op: 'file', path: 'dir/empty', permissions: '0644', size: 0, bytes: 0, sha256: sha256(''), outcome: 'ok' },
    { op: 'complaint', said: 'scp: gone: No such file or directory' },
    { op: 'file', path: 'b', permissions: '0644', size: 2, bytes: 2, sha256: sha256('xy'), outcome: 'scp: b: No space left' },
  ] });
});

test('it is the same byte by byte', () => {
  assert.deepEqual(eventsOf(SESSION, 1), eventsOf(SESSION));
});

test('a sender that does not wait is read the same, whatever the answers are', () => {
  const { events } = eventsOf([['sender', 'C0644 5 a\nhello\0C0644 2 b\nxy\0'], ['receiver', '\0\0\0'], ['receiver', '\0\0']]);
  assert.deepEqual(events.map(({ path, bytes }) => [path, bytes]), [['a', 5], ['b', 2]]);
  // The receiver did not take the file: what follows are lines to it, and so they are here.
  const refused = eventsOf([OK, ['sender', 'C0644 12 a\nC0600 1 evil\n'], ['receiver', '\u0001no\n'], OK, ['sender', 'x\0'], OK]);
  assert.deepEqual(refused.events.map(({ path, outcome }) => [path, outcome]), [['a', 'no'], ['evil', 'ok']]);
});

test('a file that was cut off is told as far as it came', () => {
  assert.deepEqual(eventsOf([OK, ['sender', 'C0644 500 a\n'], OK, ['sender', 'hel']]).events, [{ op: 'file', path: 'a', permissions: '0644', size: 500, bytes: 3, sha256: sha256('hel'), outcome: 'cut' }]);
});

test('D06 what is no scp, or never ends, breaks it in bounded memory', () => {
  const broken = (...said: readonly Said[]) => assert.notEqual(eventsOf([OK, ...said]).broken, null, JSON.stringify(said).slice(0, 80));
  broken(['sender', 'hello\n']);
  broken(['sender', 'C0644 x a\n']);
  broken(['sender', 'C'.repeat(10_000)]);
  broken(['sender', `C0644 5 a\n${'x'.repeat(5_000_000)}`]);
  broken(['receiver', '\0']);
  broken(['receiver', 'x']);
  broken(['sender', 'T1 0 2 0\n'.repeat(1100)]);
});

test('D06 any bytes are read or break it', () => {
  const piece = fc.constantFrom('C0644 3 a\n', 'D0755 0 d\n', 'E\n', 'T1 0 1 0\n', 'abc', '\0', '\u0001x\n', '\u0002', '\n', 'C');
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('sender' as const, 'receiver' as const), piece), { maxLength: 30 }), (said) => {
    assert.deepEqual(eventsOf(said, 1), eventsOf(said));
  }));
});
