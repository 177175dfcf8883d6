import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maskByReadings, otherReadings, StreamByReadings, type Reading } from './readings.ts';
import { quotedCode } from './quoted-code.ts';
import { STRING } from './tokens.ts';

const LIKELY: Reading = { backslashes: false, width: 'one' };
const latin = (text: string) => Buffer.from(text, 'latin1');

function mask(text: string, likely: Reading = LIKELY, settled = false) {
  const bytes = latin(text);
  const { shown, split } = maskByReadings(bytes, 0, bytes.length, 'literals', [likely, ...(settled ? [] : otherReadings(likely, bytes))]);
  return { shown: shown.toString('latin1'), split };
}

test('D01 where it is not known how a text is read, what is code in one way is shown', () => {
  assert.deepEqual(mask("select '\\''; delete from t; select ''"), { shown: 'select ?; delete from t; select ?', split: true });
  assert.deepEqual(mask("select '\\''; delete from t; select ''", LIKELY, true), { shown: 'select ?', split: false });
  assert.deepEqual(mask("select 'a\\b', E'\\'', 'c' from t"), { shown: 'select ?, E?, ? from t', split: false });
  // SJIS: the second byte of this character is a backslash; a dollar quote's tag holds a bar.
  assert.deepEqual(mask("select E'\x83\\'; delete from t; select '\x83\\'"), { shown: 'select E?; delete from t; select ?\x83\\?', split: true });
  assert.deepEqual(mask('select $\x83|$ a $b$ $\x83|$; delete from t; select $b$').shown.includes('delete from t'), true);
});

test('in an encoding of twisted characters text is masked like any other', () => {
  const sjis: Reading = { backslashes: true, width: 'sjis' };
  assert.deepEqual(mask("select '\x83\\'; delete from \x83\\ where a = '\xb1\\'' ; x", sjis, true).shown, 'select ?; delete from \x83\\ where a = ? ; x');
  assert.deepEqual(mask("select '\x81\x30\x81\x30', '\x81\\' from t", { backslashes: true, width: 'gb18030' }, true).shown, 'select ?, ? from t');
  assert.deepEqual(mask("select '\x8f\xa1\\', '\x8f\xa1\xa1\\''", { backslashes: true, width: 'johab' }, true).shown, 'select ?, ?');
});

test('D01 a dollar quote whose tag holds such a character is not taken apart by its bytes', () => {
  const bytes = latin('select $\x83a$ x $\x83b$; $\x83a$; delete from t; select $$ $\x83a$ $$');
  const read = (width: Reading['width']) => maskByReadings(bytes, 0, bytes.length, 'literals', [{ backslashes: false, width }]).obscure;
  assert.deepEqual([read('one'), read('sjis'), read('two')], [false, true, true]);
  const stream = new StreamByReadings('literals', [{ backslashes: false, width: 'sjis' }]);
  for (let at = 0; at < bytes.length; at++) stream.push(bytes, at, at + 1, at === bytes.length - 1);
  assert.equal(stream.split, true);
});

test('text in UTF-8 is not taken for another encoding without need', () => {
  for (const sql of ["select 'größe', 'naïve [café]', '表' from größen", "insert into t values ('Ünï@çödé|', \"é\")"]) {
    const text = Buffer.from(sql).toString('latin1');
    assert.equal(mask(text).split, false, sql);
    assert.equal(mask(text).shown, mask(text, LIKELY, true).shown);
  }
});

const piece = fc.constantFrom("'", "''", '\\', "\\'", 'E', "E'", "U&'", "B'", '$a$', '$\x83|$', '\x83', '|', '\x81\\', '--', '\n', '/*', '*/', ' ', '1', 'do ', ';', '"', 'x');

test('D01 whatever any reading calls code is shown, and a stream knows whether they differ', () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    const bytes = latin(pieces.join(''));
    const all = [LIKELY, ...otherReadings(LIKELY, bytes)] as const;
    const visible = (shown: Buffer) => shown.toString('latin1').replaceAll(/[? ]/g, '').length;
    const { shown, split, obscure } = maskByReadings(bytes, 0, bytes.length, 'literals', all);
    for (const reading of all.filter(({ width }) => width === 'one')) {
      assert.ok(visible(shown) >= visible(maskByReadings(bytes, 0, bytes.length, 'literals', [reading]).shown));
    }
    const stream = new StreamByReadings('literals', [...all]);
    const [half, end] = [bytes.length >> 1, bytes.length];
    stream.push(bytes, 0, half, false);
    stream.push(bytes, half, end, true);
    // Marks that differ and look the same are told apart by the one, and need not be by the other.
    if (stream.split) assert.ok(split || obscure);
  }), { numRuns: 500 });
});

test('quoted code is unquoted as PostgreSQL does, and each byte knows its place', () => {
  const text = "'a''b\\n\\x41\\101\\u00e9\\'c' --d\n 'e'";
  const { code, places } = quotedCode(STRING, Buffer.from(text), 0, text.length, true);
  assert.equal(code.toString(), "a'b\nAA\u00e9'ce");
  assert.equal(text.slice(places[code.length - 1], places[code.length]), 'e');
  assert.equal(text.slice(places[1], places[2]), "''");
});
