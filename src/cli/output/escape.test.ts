import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { escape, misleads, safeJson } from './escape.ts';

test('D05: no control sequence survives', () => {
  assert.equal(escape('\u001b]52;c;ZXZpbA==\u0007'), '\\e]52;c;ZXZpbA==\\x07');
  assert.equal(escape('\u009b2J\u001b[31mred\r\n'), '\\x9b2J\\e[31mred\\r\\n');
  assert.equal(escape('\u0000\u007f\t'), '\\x00\\x7f\\t');
});

test('A08: what hides or turns text is shown, whatever it is made of', () => {
  assert.equal(escape('pay\u202eorp\u2066x'), 'pay\\u{202e}orp\\u{2066}x');
  assert.equal(escape('a\u200bb\u00adc\ufeffd\u2028e'), 'a\\u{200b}b\\xadc\\u{feff}d\\u{2028}e');
  assert.equal(escape('\u{e0041}\u3164\u2800\ufe0f\ud800'), '\\u{e0041}\\u{3164}\\u{2800}\\u{fe0f}\\u{d800}');
});

test('ordinary writing of every script stays as it is; right-to-left is isolated', () => {
  for (const text of ['Žluťoučký kůň', '日本語のテスト', 'naïve café', '🚀 go', 'a\\b "c"', 'हिन्दी']) assert.equal(escape(text), text);
  assert.equal(escape('שלום'), '\u2068שלום\u2069');
  assert.equal(misleads('שלום'), false);
  assert.equal(misleads('a\u202eb'), true);
});

test('nothing that moves a cursor comes out of any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    assert.doesNotMatch(escape(text).replace(/^\u2068([^]*)\u2069$/u, '$1'), /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
  }));
});

test('JSON keeps its value, and holds no raw control character', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const written = safeJson({ text });
    assert.deepEqual(JSON.parse(written), { text });
    assert.doesNotMatch(written.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u);
  }));
});
