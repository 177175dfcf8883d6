import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maskSql, type MaskRules } from './mask.ts';
import { MaskStream } from './mask-stream.ts';

/** The text in pieces of these sizes, taken in turn. */
function masked(sql: Buffer, sizes: readonly number[], rules: MaskRules): { text: string; stream: MaskStream } {
  const stream = new MaskStream(rules);
  const shown: Buffer[] = [];
  for (let [at, n] = [0, 0]; at < sql.length || n === 0; n++) {
    const end = Math.min(sql.length, at + (sizes[n % sizes.length] as number));
    shown.push(stream.push(sql, at, end, end === sql.length));
    at = end;
  }
  return { text: Buffer.concat(shown).toString('latin1'), stream };
}

const piece = fc.oneof(
  fc.constantFrom("'", "''", '"', '$$', '$a$', '--', '/*', '*/', '\n', 'E', '\\', ' do ', ';', ' password ', ' ', ',', '1', '1.5e+3', "'x'", "E'\\''"),
  fc.integer({ min: 1, max: 90_000 }).map((size) => 'a'.repeat(size)),
  fc.integer({ min: 1, max: 90_000 }).map((size) => ' '.repeat(size)),
);

test('in pieces a text is masked as it is in one', () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 25 }), fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 }), fc.boolean(), fc.boolean(), (pieces, sizes, all, backslashes) => {
    const sql = Buffer.from(pieces.join(''));
    const rules: MaskRules = { hide: all ? 'literals' : 'passwords', backslashes };
    // A number may be broken off in front of its exponent's sign: hidden twice then.
    const plain = (text: string) => text.replace(/\?(?:[+-]?\?)*/g, '?');
    const usual = sizes.map((size) => Math.max(size, Math.ceil(sql.length / 500)));
    assert.equal(plain(masked(sql, usual, rules).text), plain(maskSql(sql, 0, sql.length, rules).toString('latin1')));
  }), { numRuns: 60 });
});

const MEGABYTES = 'm'.repeat(2_500_000);

test('what stands behind a token of megabytes is masked, and shown, as ever', () => {
  const table: readonly (readonly [string, MaskRules['hide'], string])[] = [
    [`select '${MEGABYTES}''', 5 from t`, 'literals', 'select ?, ? from t'],
    [`select E'\\'${MEGABYTES}\\\\', 5 from t`, 'literals', 'select E?, ? from t'],
    [`select "${MEGABYTES}""", 5 from t`, 'literals', `select "${MEGABYTES}""", ? from t`],
    [`select $a$ $$ ${MEGABYTES} $b$ $a$, 5 from t`, 'literals', 'select ?, ? from t'],
    [`/* /* */ ${MEGABYTES} /* */ */ delete from t where n = 5`, 'literals', '  delete from t where n = ?'],
    [`--${MEGABYTES}\ndelete from t where n = 5`, 'literals', ' \ndelete from t where n = ?'],
    [`select ${'9'.repeat(2_500_000)}, 5`, 'literals', 'select ?, ?'],
    [`/* ${MEGABYTES} */ alter role x password 'hush', y`, 'passwords', `/* ${MEGABYTES} */ alter role x password ?, y`],
    [`alter role x password '${MEGABYTES}', 'y'`, 'passwords', "alter role x password ?, 'y'"],
    [`update u set "${MEGABYTES}password" = 'hush', y = 'z'`, 'passwords', `update u set "${MEGABYTES}password" = ?, y = 'z'`],
    [`select '${MEGABYTES}', 5 from t`, 'passwords', `select '${MEGABYTES}', 5 from t`],
  ];
  for (const [sql, hide, shown] of table) {
    for (const size of [16_384, 65_536, 3_000_001]) {
      const { text } = masked(Buffer.from(sql), [size], { hide, backslashes: false });
      assert.ok(text === shown, `${sql.slice(0, 30)} in ${size}: ${text.length} bytes, ${text.slice(-60)}`);
    }
  }
});

test('a string of megabytes that comes to speak of a password is hidden from there on; code that is, is marked', () => {
  const string = masked(Buffer.from(`select '${MEGABYTES} passw hush ${MEGABYTES}', 5`), [50_000], { hide: 'passwords', backslashes: false });
  assert.ok(!string.text.includes('hush') && string.text.endsWith(', 5'));
  assert.deepEqual([string.stream.hid, string.stream.spoke, string.stream.incomplete], [true, true, false]);
  for (const hide of ['literals', 'passwords'] as const) {
    const code = masked(Buffer.from(`do $$ ${MEGABYTES} passw 'hush' delete $$; select f(x)`), [50_000], { hide, backslashes: false });
    assert.ok(!code.text.includes('hush') && code.text.endsWith('; select f(x)'));
    assert.equal(code.stream.incomplete, true);
  }
});
