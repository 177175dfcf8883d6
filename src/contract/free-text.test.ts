import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeText } from './free-text.ts';

const flags = (text: string) => describeText(text).flags.join();

test('ordinary text of many languages passes as it is', () => {
  assert.deepEqual(describeText('restore orders, ticket OPS-7'), { display: 'restore orders, ticket OPS-7', flags: [] });
  for (const text of ['árvíztűrő tükörfúrógép', 'Проверка заказов', 'Έλεγχος παραγγελιών', '注文をチェックする', '주문 확인', 'בדיקת הזמנות', 'Tokyo東京タワー', 'Москва и Berlin']) {
    assert.deepEqual(describeText(text), { display: text, flags: ['non_ascii'] }, text);
  }
});

test('A08: text that turns the direction of reading is shown escaped', () => {
  const described = describeText('read-only\u202e nimda\u2066x\u2069');
  assert.equal(described.display, 'read-only\\u{202e} nimda\\u{2066}x\\u{2069}');
  assert.deepEqual(described.flags, ['non_ascii', 'bidi']);
  for (const mark of ['\u061c', '\u200e', '\u200f', '\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069']) assert.match(flags(`a${mark}b`), /bidi/);
});

test('A08: what cannot be seen is shown, everywhere in Unicode', () => {
  for (const hidden of ['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u034f', '\u115f', '\u3164', '\uffa0', '\u2800', '\ufe0f', '\u{e0041}', '\u{e0100}', '\ue000', '\u{10fffe}', '\ud800', '\u2028', '\u00a0', '\u3000', '\u2003', '\u180e']) {
    const described = describeText(`ad${hidden}min`);
    assert.ok(described.flags.includes('invisible'), JSON.stringify(hidden));
    assert.equal(described.display, `ad\\u{${hidden.codePointAt(0)?.toString(16)}}min`);
  }
});

test('A08: control characters, terminal escapes above all; line breaks stay', () => {
  assert.deepEqual(describeText('ok\u001b[2Kdenied'), { display: 'ok\\u{1b}[2Kdenied', flags: ['control'] });
  assert.deepEqual(describeText('a\nb\r\u0000\u009b'), { display: 'a\nb\\u{d}\\u{0}\\u{9b}', flags: ['non_ascii', 'control'] });
});

test('A08: a word of two scripts is a mixture; two words of one each are not', () => {
  assert.equal(flags('аdmin'), 'non_ascii,mixed_script', 'Cyrillic a');
  assert.equal(flags('οrders'), 'non_ascii,mixed_script', 'Greek o');
  assert.equal(flags('pаypal-prod'), 'non_ascii,mixed_script');
  assert.equal(flags('сервер prod'), 'non_ascii');
});

test('A08: characters that stand for others', () => {
  assert.equal(flags('ａｄｍｉｎ'), 'non_ascii,compatibility');
  assert.equal(flags('ﬁle'), 'non_ascii,compatibility');
  assert.equal(flags('e\u0301te\u0301'), 'non_ascii', 'decomposed accents are no disguise');
});
