import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EnteredCommands } from './entered-commands.ts';
import { harmlessHtml, harmlessLine } from './harmless.ts';
import type { ChannelEvent, SshEvent } from './recording.ts';
import { searchRecording, ScreenText, shownLines } from './screen-text.ts';

const PTY = { pty: { term: 'xterm', cols: 20, rows: 5 } };
const TERMINAL: ChannelEvent = { type: 'opened', kind: 'shell', detail: PTY };

function output(text: string): ChannelEvent {
  return { type: 'output', stream: 'out', bytes: Buffer.from(text) };
}

function typed(enters: number): ChannelEvent {
  return { type: 'typed', enters };
}

/** One event for each millisecond. */
function session(...events: readonly ChannelEvent[]): SshEvent[] {
  return events.map((event, at) => ({ at, channel: 0, ...event }));
}

function linesOf(...texts: readonly string[]): readonly string[] {
  return [...shownLines(session(TERMINAL, ...texts.map(output)), 0)].map(({ text }) => text);
}

function commandsOf(...events: readonly ChannelEvent[]): readonly string[] {
  const index = new EnteredCommands();
  return session(TERMINAL, ...events).flatMap((event) => index.push(event)).map(({ command }) => command);
}

test('text is what was on the screen', () => {
  assert.deepEqual(linesOf('$ ls\r\na  b\r\n\u001b[31mred\u001b[0m\r\n'), ['$ ls', 'a  b', 'red']);
  assert.deepEqual(linesOf('ab\b\bxy\r\n'), ['ab', 'xy'], 'what was overwritten was there');
  assert.deepEqual(linesOf('helo\u001b[1D\u001b[@l\r\n'), ['helo', 'hello'], 'inserted');
  assert.deepEqual(linesOf('10%\r20%\r\u001b[Kdone\r\n'), ['10%', '20%', 'done']);
  assert.deepEqual(linesOf('0123456789012345678901234 wraps\r\n'), ['0123456789012345678901234 wraps']);
  assert.deepEqual(linesOf('\u001b[?1049h\u001b[2;3Hed\u001b[1;1Hx\u001b[?1049l$ \r\n'), ['  ed', 'x', '$']);
  assert.deepEqual(linesOf('日本\u001b[3Gx\r\n', 'e\u0301\r\n'), ['日本', '日x', 'e\u0301']);
});

test('D05 nothing that a terminal obeys is in the text', () => {
  const hostile = ['\u001b]52;c;ZXZpbA==\u0007', '\u001b]8;;http://evil.example\u001b\\link\u001b]8;;\u001b\\', '\u001b]0;title\u0007', '\u001bP$q"p\u001b\\', '\u001b[c\u001b[6n\u001b[21t', '\u009b31m', '\u0090q\u009c', '\u001b_apc\u001b\\', '\u0005'];
  assert.deepEqual(linesOf(`a${hostile.join('')}b\r\n`), ['alinkb']);
  const [line = ''] = linesOf('pay\u202eorp\u200b\r\n');
  assert.equal(harmlessLine(line), 'pay\\u{202e}orp\\u{200b}');
  assert.equal(harmlessHtml('<script>"a" & \'b\'\u001b[0m'), '&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\\u{1b}[0m');
});

test('D05 no text of any kind lets a control or a hidden character through', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\u001b', '\u001b[', '\u001b]', '\u0007', '1;5', 'H', '\r\n', '\u001b[2J', '\u001b[?1049h'))), (texts) => {
    for (const line of linesOf(...texts)) {
      assert.doesNotMatch(line, /\p{Cc}/u);
      assert.doesNotMatch(harmlessLine(line), /[\p{Cc}\p{Cf}]/u);
      assert.doesNotMatch(harmlessHtml(line), /[<>"']/);
    }
  }));
});

test('a string or sequence without an end hides nothing for long', () => {
  const lines = linesOf(`\u001b]0;${'x'.repeat(70_000)}`, '\r\nafter\r\n', `\u001b[${'1;'.repeat(100)}`, '\r\nthen\r\n');
  assert.ok(lines.includes('after') && lines.includes('then'));
});

test('a line of a million characters is searched, in bounded memory', () => {
  const lines = linesOf(`${'x'.repeat(1_000_000)}needle\r\n`);
  assert.ok(lines.some((line) => line.includes('needle')));
  assert.ok(lines.every((line) => line.length <= 21 * 20));
});

test('D06 what is told is bounded by what came', () => {
  const text = new ScreenText();
  text.push({ at: 0, channel: 0, type: 'opened', kind: 'shell', detail: { pty: { term: 'x', cols: 1000, rows: 500 } } });
  let told = 0;
  const bytes = Buffer.from(`${'y'.repeat(999)}\r${'x\rz\r'.repeat(20_000)}\u001b[999;1H\u001b[1000L\u001b[1000@`);
  for (const line of text.push({ at: 1, channel: 0, type: 'output', stream: 'out', bytes })) told += line.text.length;
  assert.ok(told <= 1024 * 1024 + 32 * bytes.length);
  assert.ok(text.omitted > 0);
});

test('commands are what stood behind the prompt when Enter was pressed', () => {
  assert.deepEqual(commandsOf(output('ada@host:~$ '), typed(0), output('ls -l'), typed(1), output('\r\ntotal 0\r\nada@host:~$ ')), ['ls -l']);
  assert.deepEqual(commandsOf(output('% '), typed(0), output('a very long command that wraps'), typed(1), output('\r\n')), ['a very long command that wraps']);
  assert.deepEqual(commandsOf(output('$ '), typed(0), output('lx\b\u001b[Ks'), typed(1), output('\r\n')), ['ls'], 'as it was edited');
  assert.deepEqual(commandsOf(output('Password: '), typed(0), typed(1), output('\r\n$ ')), [], 'what has no echo is no command');
  assert.deepEqual(commandsOf(output('$ '), typed(0), typed(2), output('one\r\n$ two\r\n')), ['one', 'two'], 'pasted together');
  assert.deepEqual(commandsOf(typed(0), typed(1), output('$ ls\r\n')), ['ls'], 'typed ahead of the prompt');
});

test('a shell that marks its prompts is believed about where a command begins', () => {
  assert.deepEqual(commandsOf(output('\u001b]133;A\u0007$ fake> \u001b]133;B\u0007'), typed(0), output('make'), typed(1), output('\r\n\u001b]133;C\u0007out\r\n')), ['make']);
  assert.deepEqual(commandsOf(output('\u001b]133;A\u0007host> \u001b]133;B\u0007make\r\n\u001b]133;C\u0007out\r\n')), ['make'], 'also when nothing is known of the keys');
});

test('what is entered in an editor is no command', () => {
  assert.deepEqual(commandsOf(output('\u001b[?1049h'), typed(0), output('text'), typed(1), output('\r\n'), output('\u001b[?1049l$ '), typed(0), output('id'), typed(1), output('\r\nuid=0\r\n')), ['id']);
});

test('a search finds what was shown, in every channel, whatever the case', () => {
  const events: SshEvent[] = [
    ...session(TERMINAL, output('cat notes\r\n'), output('Ne'), output('edle\u001b[0m here\r\n')),
    { at: 9, channel: 1, type: 'opened', kind: 'exec', detail: { command: 'cat' } },
    { at: 10, channel: 1, type: 'output', stream: 'out', bytes: Buffer.from('a\nthe needle\nz') },
  ];
  assert.deepEqual([...searchRecording(events, 'NEEDLE', 10)], [{ at: 3, text: 'Needle here', channel: 0 }, { at: 10, text: 'the needle', channel: 1 }]);
  assert.equal([...searchRecording(events, 'needle', 1)].length, 1);
});

test('it does not matter where writes end', () => {
  const text = 'ada$ ls\r\n\u001b[1;31mré\u001b[0m\u001b]0;t\u001b\\日本 x\r\n\u001b[?1049hed\u001b[2J\u001b[?1049l\u0090q\u009cz\r\n';
  const bytes = Buffer.from(text);
  const whole = linesOf(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const events = session(TERMINAL, { type: 'output', stream: 'out', bytes: bytes.subarray(0, cut) }, { type: 'output', stream: 'out', bytes: bytes.subarray(cut) });
    assert.deepEqual([...shownLines(events, 0)].map((line) => line.text), whole, `cut at ${cut}`);
  }
});
