import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gate, RecordingChunk } from '#app/ports/gate.ts';
import { Recorder } from './recorder.ts';

/** A gate that keeps chunks when it is told to, and knows how many it was given before. */
function slowGate() {
  const kept: number[] = [];
  const waiting: { seq: number; keep: () => void; refuse: () => void }[] = [];
  const record = (chunk: RecordingChunk) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ seq: chunk.seq, keep: () => (kept.push(chunk.seq), resolve()), refuse: () => reject(new Error('no')) });
    });
  return { gate: { record } as Pick<Gate, 'record'> as Gate, kept, waiting };
}

function recorderOn(gate: Gate) {
  const told = { failed: 0, relieved: 0 };
  let size = 0;
  const writer = { get size() { return size; }, events: 0, take: () => Buffer.alloc(size, (size = 0)) };
  const recorder = new Recorder(writer, gate, 'ses_01jd000000000000000000000a', { failed: () => (told.failed += 1), relieved: () => (told.relieved += 1) });
  const write = () => {
    size += 2;
    recorder.flush(true);
  };
  return { recorder, told, write };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('chunks go one after the other, so that none can overtake another', async () => {
  const { gate, kept, waiting } = slowGate();
  const { recorder, told, write } = recorderOn(gate);
  for (let n = 0; n < 12; n++) write();
  const settled = recorder.settle();
  for (let n = 0; n < 12; n++) {
    assert.deepEqual(waiting.map(({ seq }) => seq), [n], 'one on its way');
    waiting.shift()?.keep();
    await turn();
  }
  assert.equal(await settled, true);
  assert.deepEqual(kept, Array.from({ length: 12 }, (_, n) => n));
  assert.equal(told.failed, 0);
});

test('the client is held back while eight wait, and told when there is room', async () => {
  const { gate, waiting } = slowGate();
  const { recorder, told, write } = recorderOn(gate);
  for (let n = 0; n < 7; n++) write();
  assert.equal(recorder.congested, false);
  write();
  assert.equal(recorder.congested, true);
  assert.equal(told.relieved, 0);
  waiting.shift()?.keep();
  await turn();
  assert.deepEqual([recorder.congested, told.relieved], [false, 1]);
});

test('one that is refused fails the recorder once, and nothing more is sent', async () => {
  const { gate, waiting } = slowGate();
  const { recorder, told, write } = recorderOn(gate);
  for (let n = 0; n < 3; n++) write();
  waiting.shift()?.refuse();
  assert.equal(await recorder.settle(), false);
  write();
  await turn();
  assert.deepEqual([told.failed, waiting.length], [1, 0]);
});
