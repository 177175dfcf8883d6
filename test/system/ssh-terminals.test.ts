/** Programs on real terminals, recorded, and read back: byte for byte, as commands, as text, as an asciicast. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { toAsciicast } from '#brokers/ssh/asciicast.ts';
import { EnteredCommands } from '#brokers/ssh/entered-commands.ts';
import { harmlessLine } from '#brokers/ssh/harmless.ts';
import type { SshEvent } from '#brokers/ssh/recording.ts';
import { summarize } from '#brokers/ssh/recording-summary.ts';
import { searchRecording, shownLines } from '#brokers/ssh/screen-text.ts';
import { parseAsciicast } from '#test/worlds/asciicast-rules.ts';
import { realTerminal } from '#test/worlds/real-terminal.ts';

const BASH = 'bash --norc --noprofile -i';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'brevet-terminal-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function commandsOf(events: readonly SshEvent[]): readonly string[] {
  const index = new EnteredCommands();
  return events.flatMap((event) => index.push(event)).map(({ command }) => command);
}

function textOf(events: readonly SshEvent[]): readonly string[] {
  return [...shownLines(events, 0)].map(({ text }) => harmlessLine(text));
}

/** As an asciicast with every byte, and one to be watched; both by the rules. */
function castsOf(events: readonly SshEvent[]): { readonly raw: string; readonly watched: string } {
  const [raw = '', watched = ''] = [true, false].map((raw) => {
    const { events: told } = parseAsciicast([...toAsciicast(events, 0, { raw })].join('\n'));
    assert.equal(told.at(-1)?.[1], 'x');
    return told.filter(([, code]) => code === 'o').map(([, , data]) => data).join('');
  });
  return { raw, watched };
}

test('a shell: commands as they were edited, output, and every byte', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'notes'), 'the needle\n');
  const terminal = realTerminal(t, `cd '${folder}'; ${BASH}`, 80, 24);
  await terminal.shows('$ ');
  terminal.type('cat notex');
  await terminal.shows('cat notex');
  terminal.type('\u007fs\r');
  await terminal.shows('the needle');
  await terminal.shows('$ ');
  terminal.type(`echo ${'a-long-word '.repeat(10)}end\r`);
  await terminal.shows('$ ');
  terminal.type('for i in 1 2\rdo echo "n$i"; done\r');
  await terminal.shows('n2');
  await terminal.shows('$ ');
  terminal.type('\u001b[A');
  await terminal.shows('done');
  terminal.type('\r');
  await terminal.shows('n2');
  await terminal.shows('$ ');
  terminal.type('read -s -p "PIN: " x\r');
  await terminal.shows('PIN: ');
  terminal.type('correct horse\r');
  await terminal.shows('$ ');
  terminal.type('exit 3\r');
  const { output, chunks, events } = await terminal.ended();
  assert.deepEqual(commandsOf(events).slice(0, 4), ['cat notes', `echo ${'a-long-word '.repeat(10)}end`, 'for i in 1 2', 'do echo "n$i"; done']);
  assert.ok(commandsOf(events).includes('exit 3'));
  assert.ok(!commandsOf(events).some((command) => command.includes('horse')));
  assert.ok(!Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))).includes('horse'));
  assert.equal(castsOf(events).raw, output.toString());
  assert.deepEqual([...searchRecording(events, 'THE NEEDLE', 9)].map(({ text }) => text), ['the needle']);
  assert.equal(summarize(events).channels[0]?.exit?.code, 3);
});

test('a shell that marks its prompts', async (t) => {
  const terminal = realTerminal(t, BASH, 80, 24);
  await terminal.shows('$ ');
  terminal.type('PS1=\'\\[\\e]133;A\\a\\]odd prompt> \\[\\e]133;B\\a\\]\'; PS0=\'\\[\\e]133;C\\a\\]\'\r');
  await terminal.shows('odd prompt> \u001b]133;B');
  terminal.type('echo "> $((40+2))"\r');
  await terminal.shows('> 42');
  await terminal.shows('odd prompt> \u001b]133;B');
  terminal.type('exit\r');
  const { events } = await terminal.ended();
  assert.deepEqual(commandsOf(events).slice(1), ['echo "> $((40+2))"', 'exit']);
  assert.ok(!castsOf(events).watched.includes('\u001b]'));
});

test('an editor, a pager, a monitor: what was on their screens is found, what was typed in them is no command', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'long'), Array.from({ length: 300 }, (_, n) => `line ${n} of the file`).join('\n'));
  const terminal = realTerminal(t, `cd '${folder}'; ${BASH}`, 100, 30);
  await terminal.shows('$ ');
  terminal.type('vim -u NONE -N new\r');
  await terminal.shows('\u001b[?1049h');
  terminal.type('ifirst écrit\rsecond line\u001b:wq\r');
  await terminal.shows('\u001b[?1049l');
  await terminal.shows('$ ');
  terminal.type('less long\r');
  await terminal.shows('line 20 of the file');
  terminal.type('/line 250\r');
  await terminal.shows('line 250');
  terminal.type('q');
  await terminal.shows('\u001b[?1049l');
  terminal.type('top -n 2 -d 0.2\r');
  await terminal.shows('PID');
  await terminal.shows('$ ');
  terminal.type('exit\r');
  const { output, events } = await terminal.ended();
  assert.equal(await readFile(join(folder, 'new'), 'utf8'), 'first écrit\nsecond line\n');
  assert.deepEqual(commandsOf(events), ['vim -u NONE -N new', 'less long', 'top -n 2 -d 0.2', 'exit']);
  const lines = textOf(events);
  for (const wanted of ['first écrit', 'second line', 'line 7 of the file', 'line 250 of the file', 'load average', '%Cpu', 'COMMAND']) assert.ok(lines.some((line) => line.includes(wanted)), wanted);
  assert.ok(lines.every((line) => !/\p{Cc}/u.test(line)));
  const { raw, watched } = castsOf(events);
  assert.equal(raw, output.toString());
  assert.ok(watched.includes('\u001b[?1049h') && !watched.includes('\u001b[?2004h') && !watched.includes('\u001b[>c'));
});

test('bytes that are no text survive, and a secret that is shown does not', async (t) => {
  const folder = await folderOf(t);
  await writeFile(join(folder, 'config'), 'user=ada\npassword=hunter2\n');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  await writeFile(join(folder, 'bytes'), bytes);
  const terminal = realTerminal(t, `cd '${folder}'; stty -opost; cat bytes; stty opost; grep --color=always password config; cat config`, 80, 24);
  const { chunks, events } = await terminal.ended();
  const recorded = Buffer.concat(events.flatMap((event) => (event.type === 'output' ? [Buffer.from(event.bytes)] : [])));
  assert.ok(recorded.includes(bytes));
  assert.ok(!recorded.includes('hunter2') && recorded.includes('user=ada'));
  assert.equal(recorded.toString('latin1').split('[masked]').length, 3);
  assert.equal(summarize(events).channels[0]?.streams.out?.masked, 2);
  assert.ok(chunks.length > 0);
});
