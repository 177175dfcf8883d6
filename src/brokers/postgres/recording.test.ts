import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as format from './recording-format.ts';
import { BadRecording, readRecording } from './recording.ts';
import { RecordingWriter } from './recording-writer.ts';

test('numbers of any size come back', () => {
  fc.assert(fc.property(fc.maxSafeNat(), fc.double({ min: 0, max: 1e9, noNaN: true }), (number, at) => {
    const writer = new RecordingWriter();
    const sql = Buffer.from('select');
    writer.begin(format.TEXT, 0, 64);
    writer.number(1);
    writer.byte(0);
    writer.text(sql, 0, sql.length);
    writer.begin(format.DONE, at, 64);
    for (const each of [1, 0, number, number]) writer.number(each);
    writer.byte(format.OUTCOME_SUSPENDED);
    const [row] = readRecording([writer.take(true)]).statements;
    assert.deepEqual([row?.received, row?.sent, row?.at], [number, number, Math.round(at * 1000) / 1000]);
  }));
});

test('a recording that breaks off shows what was running; one that was tampered with is refused', () => {
  const writer = new RecordingWriter();
  const sql = Buffer.from('select pg_sleep(60)');
  writer.begin(format.TEXT, 5, 64);
  writer.number(1);
  writer.byte(format.SIMPLE);
  writer.text(sql, 0, sql.length);
  const chunk = writer.take(true);
  const recording = readRecording([chunk]);
  assert.deepEqual([recording.ended, recording.statements[0]?.outcome, recording.statements[0]?.at], [null, 'running', 5]);
  assert.throws(() => readRecording([chunk.subarray(0, -1)]), BadRecording);
  assert.throws(() => readRecording([Buffer.of(99, 0)]), BadRecording);
});

test('D06 random bytes never hang or escape as anything but a bad recording', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      readRecording([bytes]);
    } catch (error) {
      assert.ok(error instanceof BadRecording, String(error));
    }
  }));
});
