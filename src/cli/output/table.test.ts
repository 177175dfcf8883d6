import assert from 'node:assert/strict';
import { test } from 'node:test';
import { painter } from './paint.ts';
import { table } from './table.ts';
import { cut, pad, width, wrap } from './width.ts';

const plain = painter(false);

test('width counts what a terminal shows', () => {
  assert.equal(width('abc'), 3);
  assert.equal(width('日本'), 4);
  assert.equal(width('e\u0301a'), 2);
  assert.equal(width('🚀'), 2);
  assert.equal(width('🇸🇮'), 2);
  assert.equal(width('\u2068שלום\u2069'), 4);
  assert.equal(width('● active'), 8);
});

test('cutting and padding respect wide characters', () => {
  assert.equal(cut('日本語', 4), '日…');
  assert.equal(width(cut('日本語日本語', 7)), 7);
  assert.equal(cut('abc', 3), 'abc');
  assert.equal(cut('\u2068שלום\u2069', 3), '\u2068של…\u2069');
  assert.equal(pad('日', 4), '日  ');
  assert.equal(pad('7', 3, 'left'), '  7');
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
});

const rows = [
  { name: 'ana', why: 'x'.repeat(60), n: 7, none: null },
  { name: '日本', why: 'short', n: 12, none: null },
];
const columns = [
  { head: 'name', cell: (row: (typeof rows)[number]) => row.name },
  { head: 'n', cell: (row: (typeof rows)[number]) => row.n, align: 'right' as const },
  { head: 'none', cell: (row: (typeof rows)[number]) => row.none },
  { head: 'why', cell: (row: (typeof rows)[number]) => row.why, flexible: true as const },
];

test('columns are aligned, empty ones left out, and a pipe gets everything', () => {
  assert.equal(table(rows, columns, plain), `name   n  why\nana    7  ${'x'.repeat(60)}\n日本  12  short`);
});

test('in a terminal the flexible column gives way, to the last column exactly', () => {
  const lines = table(rows, columns, plain, 30).split('\n');
  assert.equal(lines[1], `ana    7  ${'x'.repeat(19)}…`);
  assert.equal(width(lines[1] ?? ''), 30);
  for (let room = 1; room < 90; room++) assert.ok(table(rows, columns, plain, room).length > 0);
});

test('cells are escaped, and colours only surround them', () => {
  const hostile = table([{ a: '\u001b[2Jx' }], [{ head: 'a', cell: (row) => ({ tone: 'live' as const, text: row.a }) }], painter(true));
  assert.equal(hostile, '\u001b[2ma       \u001b[0m\n\u001b[33m\\e[2Jx\u001b[0m'.replace('a       ', 'a'));
});
