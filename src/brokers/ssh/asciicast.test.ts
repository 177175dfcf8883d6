import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAsciicast } from '#test/worlds/asciicast-rules.ts';
import { toAsciicast } from './asciicast.ts';
import { ReplayFilter } from './replay-filter.ts';
import type { SshEvent } from './recording.ts';

const OPENED: SshEvent = { at: 1000, channel: 3, type: 'opened', kind: 'shell', detail: { pty: { term: 'xterm-256color', cols: 100, rows: 30 } } };

function out(at: number, bytes: Uint8Array | string): SshEvent {
  return { at, channel: 3, type: 'output', stream: 'out', bytes: Buffer.from(bytes) };
}

const cast = (events: readonly SshEvent[], raw = false) => parseAsciicast([...toAsciicast(events, 3, { raw })].join('\n'));

test('a recording becomes an asciicast by the rules of version 3', () => {
  const { header, events } = cast([
    { at: 0, type: 'header', header: { startedAt: '2026-11-28T12:00:00.000Z' } },
    OPENED,
    out(1000.25, '$ '),
    { at: 1500, channel: 4, type: 'output', stream: 'out', bytes: Buffer.from('of another channel') },
    { at: 1600, channel: 3, type: 'typed', enters: 0 },
    out(1700, 'ls'),
    { at: 1750, channel: 3, type: 'typed', enters: 1 },
    out(1800, '\r\n'),
    { at: 2000, channel: 3, type: 'resize', cols: 120, rows: 40 },
    { at: 2000, channel: 3, type: 'exit', code: 7, signal: null },
  ]);
  assert.deepEqual(header, { version: 3, term: { cols: 100, rows: 30, type: 'xterm-256color' }, timestamp: 1_795_867_201 });
  assert.deepEqual(events, [[0.00025, 'o', '$ '], [0.69975, 'o', 'ls'], [0.1, 'o', '\r\n'], [0, 'm', 'ls'], [0.2, 'r', '120x40'], [0, 'x', '7']]);
});

test('characters that are split between writes come whole; bytes that are no text are marked', () => {
  const bytes = Buffer.from('é日🙂\u001b[1m');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { events } = cast([OPENED, out(1001, bytes.subarray(0, cut)), out(1002, bytes.subarray(cut))]);
    assert.equal(events.map(([, , data]) => data).join(''), 'é日🙂\u001b[1m', `cut at ${cut}`);
  }
  assert.equal(cast([OPENED, out(1001, Buffer.of(0x61, 0xff, 0xe6, 0x97))]).events.map(([, , data]) => data).join(''), 'a\ufffd\ufffd');
});

test('intervals add up, whatever they are', () => {
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 30 }), (gaps) => {
    let at = 1000;
    const events = gaps.map((gap) => out((at += gap), 'x'));
    const sum = cast([OPENED, ...events]).events.reduce((total, [interval]) => total + interval, 0);
    assert.ok(Math.abs(sum - (at - 1000) / 1000) < 1e-4);
  }));
});

test('D06 a terminal of any size is one that players take', () => {
  const { header, events } = cast([{ ...OPENED, detail: { pty: { term: 'x', cols: 0, rows: 4e9 } } } as SshEvent, { at: 1000, channel: 3, type: 'resize', cols: 4e9, rows: 0 }]);
  assert.deepEqual([header.term, events], [{ cols: 80, rows: 500, type: 'x' }, [[0, 'r', '1000x24']]]);
});

const DROPPED = [
  '\u001b]52;c;ZXZpbA==\u0007', '\u001b]0;title\u001b\\', '\u001b]8;;http://evil.example\u0007', '\u001bP$q"p\u001b\\', '\u001b_x\u001b\\', '\u001b^x\u001b\\', '\u001b[c', '\u001b[>c', '\u001b[6n',
  '\u001b[?6n', '\u001b[21t', '\u001b[8;500;500t', '\u001b[>q', '\u001b[?1$p', '\u001b[5i', '\u001bZ', '\u0005', '\u009c', '\u001b[?1000h', '\u001b[?2004h', '\u001b[?1004;1006h', '\u001b[?u', '\u001b[99999999b', '\u001b%@', '\u001b%G', '\u001b G', '\u001b[62"p', '\u001b[>4;2m', '\u001b[>1u', '\u001b[2h', '\u001b[?1h', '\u001b=', '\u001b[?3h', '\u001b[>h',
];

test('D05 what acts on the terminal of whoever watches is not in an export, unless it is wanted raw', () => {
  const text = DROPPED.join('');
  assert.equal(new ReplayFilter().push(text), '');
  assert.equal(cast([OPENED, out(1001, `a${text}b`)]).events.map(([, , data]) => data).join(''), 'ab');
  assert.equal(cast([OPENED, out(1001, `a${text}b`)], true).events.map(([, , data]) => data).join(''), `a${text}b`);
});

test('D05 what is seen stays', () => {
  for (const kept of ['\u001b[1;38;2;1;2;3m', '\u001b[2J\u001b[H', '\u001b[?1049h', '\u001b[?25l', '\u001b(B', '\u001b7\u001b8', '\u001b#8', '\u001b[4h', '\r\n\t\b', '\u001b[5;10r', '日é🙂', '\u001b[!p', '\u001b[2 q']) assert.equal(new ReplayFilter().push(kept), kept);
  assert.equal(new ReplayFilter().push('\u001b[?1049;1000h'), '\u001b[?1049h');
  assert.doesNotMatch(new ReplayFilter().push(`\u001b[?${'25;'.repeat(38)}1000h`), /1000/, 'nor behind many others');
});

test('D05 nothing of it comes through in pieces', () => {
  const piece = fc.oneof(fc.constantFrom(...DROPPED.flatMap((text) => [text, text.slice(0, 2), text.slice(2)])), fc.string({ maxLength: 5 }), fc.constantFrom('\u001b', '\u001b\\', '\n'));
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const filter = new ReplayFilter();
    const kept = pieces.map((text) => filter.push(text)).join('');
    assert.equal(kept, new ReplayFilter().push(pieces.join('')), 'pieces do not matter');
    assert.ok(!['\u0005', '\u0090', '\u009b', '\u009d', '\u001b]', '\u001bP', '\u001bX', '\u001b^', '\u001b_', '\u001bZ'].some((sign) => kept.includes(sign)), JSON.stringify(kept));
    assert.equal(new ReplayFilter().push(kept), kept, 'a second time there is nothing to drop');
  }));
});
