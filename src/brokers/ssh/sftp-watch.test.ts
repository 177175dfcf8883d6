import assert from 'node:assert/strict';
import { test } from 'node:test';
import { string, uint32, uint64 } from '#contract/ssh/wire.ts';
import type { JsonObject } from '#domain/json.ts';
import { NoSftp } from './sftp-messages.ts';
import { SftpWatch } from './sftp-watch.ts';

const message = (type: number, ...fields: readonly Uint8Array[]) => string(Buffer.of(type), ...fields);
const OPEN = message(3, uint32(1), string('/etc/shadow'), uint32(1), uint32(0));
const HANDLE = message(102, uint32(1), string('h'));
const READ = message(5, uint32(2), string('h'), uint64(0n), uint32(100));
const DATA = message(103, uint32(2), string('secret'));
const CLOSE = message(4, uint32(3), string('h'));
const SEEN = [
  { op: 'open', path: '/etc/shadow', flags: ['read'], status: 0 },
  { op: 'close', path: '/etc/shadow', read: { bytes: 6, sha256: '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b' }, written: null },
];

function watch(): { readonly watch: SftpWatch; readonly events: JsonObject[] } {
  const events: JsonObject[] = [];
  return { watch: new SftpWatch((event) => events.push(event)), events };
}

test('what is done to files is told, however the messages are cut into pieces', () => {
  for (const size of [1, 2, 3, 5, 7, 1000]) {
    const { watch: one, events } = watch();
    const feed = (bytes: Buffer, take: (piece: Buffer) => void) => {
      for (let at = 0; at < bytes.length; at += size) take(bytes.subarray(at, at + size));
    };
    feed(OPEN, (piece) => one.fromClient(piece));
    feed(HANDLE, (piece) => one.fromTarget(piece));
    feed(READ, (piece) => one.fromClient(piece));
    feed(DATA, (piece) => one.fromTarget(piece));
    feed(CLOSE, (piece) => one.fromClient(piece));
    assert.deepEqual(events, SEEN, `pieces of ${size}`);
  }
});

test('D01 a file that is used before it is known to be open, and messages that are none, end the channel', () => {
  const write = message(6, uint32(2), string('h'), uint64(0n), string('x'));
  assert.throws(() => watch().watch.fromClient(Buffer.concat([OPEN, write])), NoSftp);
  assert.throws(() => watch().watch.fromClient(Buffer.concat([OPEN, CLOSE])), NoSftp);
  assert.throws(() => watch().watch.fromClient(uint32(0)), NoSftp);
  assert.throws(() => watch().watch.fromClient(uint32(1_000_000)), NoSftp);
  assert.throws(() => watch().watch.fromClient(message(3, uint32(1), uint32(1_000_000))), NoSftp);
  assert.throws(() => watch().watch.fromClient(Buffer.concat([OPEN, OPEN])), NoSftp);
});

test('a file that is written out of order has no hash, one that was not closed is told all the same', () => {
  const { watch: one, events } = watch();
  one.fromClient(OPEN);
  one.fromTarget(HANDLE);
  one.fromClient(message(6, uint32(2), string('h'), uint64(5n), string('later')));
  one.finish();
  assert.deepEqual(events.at(-1), { op: 'close', path: '/etc/shadow', read: null, written: { bytes: 5, sha256: null }, unfinished: true });
});
