import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AT_ONCE, BACKEND, FRONTEND, Scanner } from './scanner.ts';
import { frame } from './messages.ts';

/** A stream of messages, cut into chunks at these places. */
function chunksOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, at) => stream.subarray(from, places[at] ?? stream.length));
}

const backend = fc.record({ letter: fc.constantFrom('C', 'D', 'E', 'Z', 'T', '1', '2', 'I', 'N', 'S', 'd'), size: fc.integer({ min: 0, max: 600 }) });

test('however the stream is cut, the same messages are seen with the same beginnings', () => {
  fc.assert(fc.property(fc.array(backend, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
    const stream = Buffer.concat(messages.map(({ letter, size }, n) => frame(letter, Buffer.alloc(size, n))));
    const seen = (chunks: readonly Buffer[]) => {
      const found: string[] = [];
      const scanner = new Scanner(BACKEND, (type, bytes, from, to, size) => {
        const wanted = BACKEND.wanted[type] as number;
        found.push(`${type} ${size} ${bytes.toString('hex', from, Math.min(to, from + wanted))}`);
      });
      for (const chunk of chunks) assert.ok(scanner.scan(chunk));
      assert.ok(scanner.atBoundary);
      return found;
    };
    const whole = seen([stream]);
    assert.deepEqual(seen(chunksOf(stream, cuts)), whole);
    assert.deepEqual(whole.length, messages.filter(({ letter }) => (BACKEND.wanted[letter.charCodeAt(0)] as number) > 0).length);
  }));
});

test('it knows where messages end, at any cut', () => {
  fc.assert(fc.property(fc.array(backend, { minLength: 1, maxLength: 8 }), fc.nat(), (messages, place) => {
    const frames = messages.map(({ letter, size }) => frame(letter, Buffer.alloc(size)));
    const stream = Buffer.concat(frames);
    const cut = place % stream.length;
    const scanner = new Scanner(BACKEND, () => undefined);
    scanner.scan(stream.subarray(0, cut));
    const ends = frames.map((_, n) => Buffer.concat(frames.slice(0, n + 1)).length);
    const next = [0, ...ends].find((end) => end >= cut) as number;
    assert.equal(scanner.atBoundary, next === cut);
    assert.equal(scanner.boundaryIn(stream.subarray(cut)), next - cut);
    if (next - cut > 1) assert.equal(scanner.boundaryIn(stream.subarray(cut, next - 1)), -1);
  }));
});

test('impossible messages are refused, cut or not', () => {
  for (const bytes of [[0x51, 0, 0, 0, 3], [0x51, 0xff, 0xff, 0xff, 0xff], [0x58, 0, 1, 0, 0], [0x70, 0, 0, 0, 4], [0, 0, 0, 0, 4]]) {
    for (let cut = 0; cut < 5; cut++) {
      const scanner = new Scanner(FRONTEND, () => undefined);
      const first = cut === 0 || scanner.scan(Buffer.from(bytes.slice(0, cut)));
      assert.equal(first && scanner.scan(Buffer.from(bytes.slice(cut))), false);
    }
  }
});

test('a long statement is shown in pieces, however it is cut; of bulk data nothing is kept', () => {
  fc.assert(fc.property(fc.integer({ min: -2, max: 100_000 }), fc.array(fc.nat(), { maxLength: 20 }), (more, cuts) => {
    const body = Buffer.from(Array.from({ length: AT_ONCE + more }, (_, n) => n % 251));
    const stream = Buffer.concat([frame('d', Buffer.alloc(70_000)), frame('Q', body), frame('S', Buffer.alloc(0))]);
    const seen: Buffer[] = [];
    const left: number[] = [];
    const scanner = new Scanner(FRONTEND, (type, bytes, from, to) => {
      if (type === 0x51) seen.push(Buffer.from(bytes.subarray(from, to)));
    }, (type, bytes, from, to, behind) => {
      assert.equal(type, 0x51);
      seen.push(Buffer.from(bytes.subarray(from, to)));
      left.push(behind);
    });
    for (const chunk of chunksOf(stream, cuts)) assert.ok(scanner.scan(chunk));
    assert.ok(Buffer.concat(seen).equals(body));
    assert.ok(left.length === 0 ? seen.length === 1 : left.at(-1) === 0 && (seen[0] as Buffer).length === AT_ONCE);
    assert.ok(left.slice(0, -1).every((behind) => behind > 0));
  }));
});
