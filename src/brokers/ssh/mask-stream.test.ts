import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BadRule } from './mask-pattern.ts';
import { readRules, USUAL_RULES } from './mask-rules.ts';
import { maskText, MaskStream } from './mask-stream.ts';

const usual = readRules(USUAL_RULES);

/** Masks a text that comes in these pieces. */
function inPieces(bytes: Uint8Array, cuts: readonly number[]): { readonly shown: string; readonly masked: number } {
  const mask = new MaskStream(usual);
  const shown: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    shown.push(Buffer.from(mask.push(bytes.subarray(from, cut), false)));
    from = cut;
  }
  shown.push(mask.push(bytes.subarray(from), true));
  return { shown: Buffer.concat(shown).toString('latin1'), masked: mask.masked };
}

const SECRETS: readonly (readonly [string, string])[] = [
  ['id AKIAIOSFODNN7EXAMPLE end', 'id AKIA[masked] end'],
  ['export PGPASSWORD=hunter2 && psql', 'export PGPASSWORD=[masked] && psql'],
  ['password: "hun ter2"', 'password: "[masked] ter2"'],
  ['{"password": "hunter2", "user": "ada"}', '{"password": "[masked]", "user": "ada"}'],
  ['api_key = \'k1\'', 'api_key = \'[masked]\''],
  ['psql postgres://ada:hunter2@db.example/orders', 'psql postgres://ada:[masked]@db.example/orders'],
  ['curl http://localhost:8080/path', 'curl http://localhost:8080/path'],
  ['curl -H "Authorization: Bearer abc.def-123"', 'curl -H "Authorization: Bearer [masked]"'],
  ['ghp_0123456789abcdefghijABCDEFGHIJ012345', 'ghp_[masked]'],
  ['xoxb-1234567890-abcdef', 'xoxb-[masked]'],
  ['-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNz\r\naC1rZXk=\r\n-----END OPENSSH PRIVATE KEY-----\r\n$ ls', '-----BEGIN OPENSSH PRIVATE KEY-----[masked]-----END OPENSSH PRIVATE KEY-----\r\n$ ls'],
  // grep colours the word that it found.
  ['\u001b[01;31m\u001b[Kpassword\u001b[m\u001b[K=hunter2', '\u001b[01;31m\u001b[Kpassword\u001b[m\u001b[K=[masked]'],
  ['password=\u001b[1mhun\u001b[mter2 x', 'password=[masked]\u001b[1m\u001b[m x'],
  ['ada@host\'s password: \r\nLast login', 'ada@host\'s password: \r\nLast login'],
  ['AKIA too short AKIAIOSFODNN7EXAMPL.', 'AKIA too short AKIAIOSFODNN7EXAMPL.'],
  ['AKIAAKIAIOSFODNN7EXAMPLE', 'AKIA[masked]MPLE'],
];

test('secrets are masked, and what tells of them is shown', () => {
  for (const [text, shown] of SECRETS) assert.equal(maskText(usual, text), shown);
});

test('it is the same wherever a write ends', () => {
  for (const [text, shown] of SECRETS) {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) assert.equal(inPieces(bytes, [cut]).shown, shown, `cut at ${cut}`);
    assert.equal(inPieces(bytes, Array.from(bytes.keys())).shown, shown, 'byte by byte');
  }
});

test('any bytes in any pieces come out as they would at once', () => {
  const piece = fc.oneof(fc.constantFrom(...SECRETS.map(([text]) => text)), fc.constantFrom('\u001b', '\u001b[', 'password=', 'AKIA', '://a:b', '@', '\n'), fc.string({ maxLength: 8, unit: 'binary' }));
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 10 }), (texts, cuts) => {
    const bytes = Buffer.from(texts.join(''));
    const whole = inPieces(bytes, []);
    assert.deepEqual(inPieces(bytes, cuts.map((cut) => Math.min(cut, bytes.length))), whole);
    if (whole.masked === 0) assert.equal(whole.shown, bytes.toString('latin1'));
  }));
});

test('a session can\'t hide behind an unfinished secret', () => {
  assert.match(maskText(usual, `-----BEGIN RSA PRIVATE KEY-----\r\nada@host:~$ rm -rf /srv\r\n`), /\$ rm -rf \/srv/);
  const long = maskText(usual, `password=${'x'.repeat(5000)}`);
  assert.equal(long.length, 'password=[masked]'.length + 5000 - 256);
});

test('rules that could cost too much, or hide everything, are refused', () => {
  const refused = (after: string, hide = '[a-z]{8}') => assert.throws(() => readRules([{ name: 'r', after, hide }]), BadRule, after);
  for (const after of ['a*', '', '(a', 'a)', '[a', 'a{5000}', '((((a{500}){500}){500}){500})', '(.*a.{1000}b)', '\\q', '^a', 'é', `${'('.repeat(30)}a${')'.repeat(30)}`]) refused(after);
  refused('key', 'abc');
  refused('key', '[a-z]{200}');
  assert.throws(() => readRules([{ name: 'r', after: 'a', hide: '[a-z]{1,500}', before: 'b' }]), BadRule);
});

test('time is linear for expressions on which others take for ever', () => {
  const evil = readRules([{ name: 'evil', after: '(a+)+(a|aa)*b', hide: '[a-z]{100}' }, ...USUAL_RULES]);
  const mask = new MaskStream(evil);
  const text = Buffer.from('a'.repeat(256 * 1024));
  const began = performance.now();
  assert.equal(mask.push(text, true).length, text.length);
  assert.ok(performance.now() - began < 1000);
});

test('expressions mean what they mean elsewhere', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['a(b|cd)*e', /a(b|cd)*e/], ['[^a-c]x{2,3}', /[^a-c]x{2,3}/], ['a?b+\\d', /a?b+\d/], ['\\w\\s\\S', /\w[\t-\r ]\S/], ['(?i)KeY', /key/i], ['x.y', /x[^\n\r]y/], ['a{2}b{1,}', /a{2}b{1,}/],
  ];
  for (const [after, same] of cases) {
    const rules = readRules([{ name: 'r', after, hide: '[!]{1}' }]);
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'aabbccdexxyKkEeyY1 \n') , maxLength: 12 }), (text) => {
      assert.equal(maskText(rules, `${text}!`) !== `${text}!`, new RegExp(`(?:${same.source})$`, same.flags).test(text), JSON.stringify(text));
    }));
  }
});
