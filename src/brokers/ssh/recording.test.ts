import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { BadRecording } from './bad-recording.ts';
import { readRules, USUAL_RULES } from './mask-rules.ts';
import { packChunk } from './recording-chunk.ts';
import { LARGEST_CHUNK, type StreamName } from './recording-format.ts';
import { readChunk, readRecording, type SshEvent } from './recording.ts';
import { summarize } from './recording-summary.ts';
import { SshRecordingWriter } from './recording-writer.ts';

const rules = readRules(USUAL_RULES);
const none = readRules([]);
const PTY = { pty: { term: 'xterm-256color', cols: 100, rows: 30 } };

function outputOf(events: Iterable<SshEvent>, channel: number, stream: StreamName = 'out'): Buffer {
  return Buffer.concat([...events].flatMap((event) => (event.type === 'output' && event.channel === channel && event.stream === stream ? [event.bytes] : [])));
}

test('everything that happened comes back, in its order', () => {
  const writer = new SshRecordingWriter({ rules });
  writer.header({ session: 'ses_1', startedAt: '2026-11-28T12:00:00Z' });
  writer.tick(1.5);
  writer.opened(0, 'shell', PTY);
  writer.output(0, Buffer.from('$ '), 'out');
  writer.tick(20);
  writer.input(0, Buffer.from('l'));
  writer.input(0, Buffer.from('s\r'));
  writer.resize(0, 120, 40);
  writer.signal(0, 'INT');
  writer.opened(1, 'refused', { type: 'x11' });
  writer.sftp(2, { op: 'remove', path: '/srv/a', outcome: 'ok' });
  writer.exit(0, 0, null);
  writer.exit(1, null, 'KILL');
  writer.closed(0, 3, 2);
  writer.end('deadline');
  assert.equal(writer.events, 3);
  const events = [...readRecording([writer.take(true)])];
  assert.deepEqual(events, [
    { at: 0, type: 'header', header: { version: 1, session: 'ses_1', startedAt: '2026-11-28T12:00:00Z' } },
    { at: 1.5, channel: 0, type: 'opened', kind: 'shell', detail: PTY },
    { at: 1.5, channel: 0, type: 'output', stream: 'out', bytes: Buffer.from('$ ') },
    { at: 20, channel: 0, type: 'typed', enters: 0 },
    { at: 20, channel: 0, type: 'typed', enters: 1 },
    { at: 20, channel: 0, type: 'resize', cols: 120, rows: 40 },
    { at: 20, channel: 0, type: 'signal', name: 'INT' },
    { at: 20, channel: 1, type: 'opened', kind: 'refused', detail: { type: 'x11' } },
    { at: 20, channel: 2, type: 'file', event: { op: 'remove', path: '/srv/a', outcome: 'ok' } },
    { at: 20, channel: 0, type: 'exit', code: 0, signal: null },
    { at: 20, channel: 1, type: 'exit', code: null, signal: 'KILL' },
    { at: 20, channel: 0, type: 'stream', stream: 'out', bytes: 2, left: 0, masked: 0, sha256: null },
    { at: 20, channel: 0, type: 'closed', bytesIn: 3, bytesOut: 2 },
    { at: 20, type: 'end', reason: 'deadline' },
  ]);
  const summary = summarize(events);
  assert.deepEqual([summary.ended, summary.lastAt, summary.channels.map(({ kind }) => kind)], ['deadline', 20, ['shell', 'refused', null]]);
});

test('what is typed is not in a recording, and is when told to', () => {
  for (const keystrokes of [false, true]) {
    const writer = new SshRecordingWriter({ rules, keystrokes });
    writer.opened(0, 'shell', PTY);
    writer.input(0, Buffer.from('correct horse battery\r'));
    const events = [...readChunk(writer.take(true))];
    assert.equal(events.some((event) => event.type === 'input' && Buffer.from(event.bytes).includes('horse')), keystrokes);
  }
});

test('output in any pieces and chunks comes back byte for byte', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 600 }), fc.boolean(), fc.boolean()), { maxLength: 20 }), (writes) => {
    const writer = new SshRecordingWriter({ rules: none });
    const chunks: Buffer[] = [];
    writer.opened(7, 'shell', {});
    for (const [bytes, err, take] of writes) {
      writer.output(7, bytes, err ? 'err' : 'out');
      if (take) chunks.push(writer.take(false));
    }
    writer.end('x');
    chunks.push(writer.take(true));
    const expected = (wanted: boolean) => Buffer.concat(writes.filter(([, err]) => err === wanted).map(([bytes]) => bytes));
    assert.deepEqual(outputOf(readRecording(chunks), 7, 'out'), expected(false));
    assert.deepEqual(outputOf(readRecording(chunks), 7, 'err'), expected(true));
  }));
});

test('a secret is masked across writes, chunks and the end', () => {
  const writer = new SshRecordingWriter({ rules });
  const chunks: Buffer[] = [];
  writer.opened(0, 'shell', PTY);
  for (const byte of Buffer.from('x AKIAIOSFODNN7EXAMPLE PASSWORD=hunter2')) {
    writer.output(0, Buffer.of(byte), 'out');
    chunks.push(writer.take(false));
  }
  writer.closed(0, 0, 0);
  chunks.push(writer.take(true));
  assert.equal(outputOf(readRecording(chunks), 0).toString(), 'x AKIA[masked] PASSWORD=[masked]');
  assert.equal(summarize(readRecording(chunks)).channels[0]?.streams.out?.masked, 2);
});

test('what was held back is recorded when the channel or the session ends', () => {
  for (const end of ['closed', 'end'] as const) {
    const writer = new SshRecordingWriter({ rules });
    writer.opened(0, 'shell', PTY);
    writer.output(0, Buffer.from('AKIA12\u001b['), 'out');
    if (end === 'closed') writer.closed(0, 0, 0);
    else writer.end('cut');
    assert.equal(outputOf(readChunk(writer.take(true)), 0).toString(), 'AKIA12\u001b[');
  }
});

test('a secret in a command line is masked', () => {
  const writer = new SshRecordingWriter({ rules });
  writer.opened(0, 'exec', { command: 'PGPASSWORD=hunter2 psql', env: ['TOKEN=abc'] });
  const [opened] = readChunk(writer.take(true));
  assert.deepEqual(opened?.type === 'opened' && opened.detail, { command: 'PGPASSWORD=[masked] psql', env: ['TOKEN=[masked]'] });
});

test('of a command without a terminal the beginning is recorded; the rest is counted and hashed', () => {
  const writer = new SshRecordingWriter({ rules: none, mostOfAStream: 1000 });
  const whole = randomBytes(5000);
  writer.opened(0, 'exec', { command: 'tar c /' });
  for (let at = 0; at < whole.length; at += 300) writer.output(0, whole.subarray(at, at + 300), 'out');
  writer.closed(0, 0, whole.length);
  const chunk = writer.take(true);
  assert.deepEqual(outputOf(readChunk(chunk), 0), whole.subarray(0, 1000));
  assert.deepEqual(summarize(readChunk(chunk)).channels[0]?.streams.out, { bytes: 5000, left: 4000, masked: 0, sha256: createHash('sha256').update(whole).digest('hex') });
});

test('a hash does not tell what was masked', () => {
  const digest = (secret: string) => {
    const writer = new SshRecordingWriter({ rules });
    writer.output(0, Buffer.from(`password=${secret}\n`), 'out');
    writer.closed(0, 0, 0);
    return summarize(readChunk(writer.take(true))).channels[0]?.streams.out?.sha256;
  };
  assert.equal(digest('hunter2'), digest('correct'));
});

test('one chunk can be read without the others', () => {
  const writer = new SshRecordingWriter({ rules });
  writer.opened(0, 'shell', PTY);
  writer.tick(5);
  writer.output(0, Buffer.from('one'), 'out');
  const first = writer.take(false);
  writer.tick(1000);
  writer.output(0, Buffer.from('two'), 'out');
  const second = writer.take(false);
  assert.deepEqual([...readChunk(second)], [{ at: 1000, channel: 0, type: 'output', stream: 'out', bytes: Buffer.from('two') }]);
  assert.equal([...readChunk(first)].length, 2);
});

test('D07 what nobody takes stops the session, in bounded memory', () => {
  const writer = new SshRecordingWriter({ rules });
  writer.opened(0, 'shell', PTY);
  const flood = Buffer.alloc(32 * 1024);
  assert.throws(() => {
    for (let n = 0; n < 1000; n++) writer.output(0, flood, 'out');
  }, /not taken/);
  assert.ok(writer.size <= LARGEST_CHUNK);
});

/** Reads to the end, or to the BadRecording that any other error is not. */
function isRead(chunk: Uint8Array): boolean {
  try {
    for (const event of readChunk(chunk)) assert.ok(event.at >= 0);
    return true;
  } catch (error) {
    assert.ok(error instanceof BadRecording, String(error));
    return false;
  }
}

test('D04 D06 a chunk with any byte changed, missing or added is no recording', () => {
  const writer = new SshRecordingWriter({ rules });
  writer.header({ session: 'ses_1' });
  writer.opened(0, 'exec', { command: 'ls' });
  for (let n = 0; n < 40; n++) writer.output(0, Buffer.from(`line ${n}\r\n`), 'out');
  const packed = writer.take(false);
  writer.end('x');
  const stored = writer.take(true);
  for (const chunk of [packed, stored]) {
    assert.ok(isRead(chunk));
    for (let at = 0; at < chunk.length; at++) {
      for (const bit of [1, 16, 128]) {
        const changed = Buffer.from(chunk);
        changed[at] = (changed[at] as number) ^ bit;
        assert.ok(!isRead(changed), `byte ${at}`);
      }
      assert.ok(!isRead(chunk.subarray(0, at)), `cut at ${at}`);
    }
    assert.ok(!isRead(Buffer.concat([chunk, Buffer.of(0)])));
  }
});

test('D06 any bytes, also well packed ones, are read or are a BadRecording', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    isRead(bytes);
    isRead(packChunk(bytes));
    isRead(packChunk(Buffer.concat([Buffer.of(2, 0), bytes])));
  }), { numRuns: 500 });
});

test('D06 a bomb is refused before it takes memory; a chunk of tiny events come one by one', () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
  for (const length of [LARGEST_CHUNK, 0xffff_ffff, 1000]) {
    const head = Buffer.alloc(9);
    head[0] = 1;
    head.writeUInt32BE(length, 1);
    head.writeUInt32BE(crc32(bomb, crc32(head.subarray(0, 5))), 5);
    const before = process.memoryUsage().rss;
    assert.ok(!isRead(Buffer.concat([head, bomb])));
    assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
  }
  const tiny = Buffer.alloc(LARGEST_CHUNK - 4, Buffer.of(7, 0, 0, 0));
  const chunk = packChunk(Buffer.concat([Buffer.of(2, 0), tiny]));
  let read = 0;
  for (const event of readChunk(chunk)) read += event.type === 'typed' ? 1 : 0;
  assert.equal(read, (LARGEST_CHUNK - 4) / 4);
});

test('D06 JSON that nests without an end is refused or read, and nothing else', () => {
  const text = '['.repeat(100_000);
  const record = Buffer.concat([Buffer.of(2, 0, 1, 0), leb(text.length + 6), Buffer.from(`{"a":${text}}`)]);
  assert.ok(!isRead(packChunk(record)));
});

function leb(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}
