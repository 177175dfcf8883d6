import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { freshStand, markTokens, maskSql, showUnmarked, speaksOfPasswords, type MaskRules } from './mask.ts';

const mask = (sql: string, rules: Partial<MaskRules> = {}) => {
  const bytes = Buffer.from(sql);
  return maskSql(bytes, 0, bytes.length, { hide: 'literals', backslashes: false, ...rules }).toString();
};

test('literals go, names and parameters stay', () => {
  const table: readonly (readonly [string, string])[] = [
    ["select 'a', 12, 1.5e-3, .5, 0xFF, $1, t1.c2 from t1", 'select ?, ?, ?, ?, ?, $1, t1.c2 from t1'],
    ["select 'it''s', E'a\\'b', n'x', U&'\\0041', B'01'", 'select ?, E?, n?, U&?, B?'],
    ["select 'a\\' || 'b'", 'select ? || ?'],
    ['select $$a$$, $tag$ $$ \' $tag$, x$y$z', 'select ?, ?, x$y$z'],
    ['select "it\'s 1""2" as "c 3"', 'select "it\'s 1""2" as "c 3"'],
    ["select 1 -- it's 42\n, 2", 'select ?  \n, ?'],
    ["select /* 'a' /* 1 */ b */ 2", 'select   ?'],
    ["where a-1=2 and b>-3", 'where a-?=? and b>-?'],
    ["select 'broken off", 'select ?'],
    ['select $$broken off', 'select ?'],
    ['select /* broken off', 'select  '],
    ["select café, 'ü'", 'select café, ?'],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql), masked);
});

test('where backslashes escape, they do', () => {
  assert.equal(mask("select 'a\\', secret, 'b'", { backslashes: true }), 'select ?b?');
  assert.equal(mask("select 'a\\', shown, 'b'"), 'select ?, shown, ?');
  for (const prefix of ['B', 'x', 'U&']) assert.equal(mask(`select ${prefix}'\\', shown, 'b'`, { backslashes: true }), `select ${prefix}?, shown, ?`);
  assert.equal(mask("select xU&'\\', hidden, '", { backslashes: true }), 'select xU&?');
});

test('D01 a string goes on behind a newline by the rules it began with', () => {
  const table: readonly (readonly [string, string])[] = [
    ["select E'a'\n'\\''; delete from t; select ''", 'select E?; delete from t; select ?'],
    ["select E'a' -- it's\n\t-- more\n'\\''; delete from t", 'select E?; delete from t'],
    ["select U&'a'\r'\\'; delete from t; select '", 'select U&?; delete from t; select ?'],
    ["select E'a' '\\'; delete from t; select '", 'select E? ?; delete from t; select ?'],
    ["select E'a' /* \n */ '\\'; delete from t; select '", 'select E?   ?; delete from t; select ?'],
    ["select 'a'\n- 1, 'b' -- c", 'select ?\n- ?, ?  '],
    ["select 'a'\n", 'select ?\n'],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql), masked);
  const password = "alter role x password E'a'\n'\\''; delete from t; select ''";
  assert.equal(mask(password, { hide: 'passwords' }), "alter role x password E?; delete from t; select ''");
});

test('D01 what stands behind a number or a parameter is no part of it', () => {
  const table: readonly (readonly [string, string])[] = [
    ['select 1union select 0x1F, 0b01, 1_000, 1.e5, 2e', 'select ?union select ?, ?, ?, ?, ?e'],
    ["for i in 1..n loop f(1.5,$1E'\\''); g(2E'\\'') end", "for i in ?..n loop f(?,$1E?); g(?E?) end"],
    ['select 1$a$ hidden $a$, $1$b$ hidden $b$', 'select ??, $1?'],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql), masked);
  assert.equal(mask("alter role x connection limit 1password 'hush'", { hide: 'passwords' }), 'alter role x connection limit 1password ?');
});

test('passwords go even when literals stay', () => {
  const hide = 'passwords' as const;
  const table: readonly (readonly [string, string])[] = [
    ["alter role x password 'hush' valid until '2030-01-01'", "alter role x password ? valid until '2030-01-01'"],
    ["create user x encrypted PASSWORD/* 1 */E'hush'", 'create user x encrypted PASSWORD/* 1 */E?'],
    ["alter role x password 'hu'\n'sh'", 'alter role x password ?'],
    ['alter role x password $$hush$$', 'alter role x password ?'],
    ["alter role x password U&'hush'", 'alter role x password U&?'],
    ["create user mapping for x server y options (user 'bob', password 'hush')", "create user mapping for x server y options (user 'bob', password ?)"],
    ["select dblink('host=h password=hush')", 'select dblink(?)'],
    ["update users set \"password\" = 'hush', name = 'bob'", "update users set \"password\" = ?, name = 'bob'"],
    ["select 1 -- password hush", 'select 1  '],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql, { hide }), masked);
});

test('code that is quoted by dollars is not hidden as a value', () => {
  const table: readonly (readonly [string, string])[] = [
    ["do $$ begin /* passw */ delete from t where n = 'x'; end $$", "do $$ begin   delete from t where n = 'x'; end $$"],
    ["/* a */ DO language plpgsql $passw$ begin update u set password = 'hush'; end $passw$", '/* a */ DO language plpgsql $passw$ begin update u set password = ?; end $passw$'],
    ["create or replace function f() returns void language sql as $$ delete from t -- passw\n$$", 'create or replace function f() returns void language sql as $$ delete from t  \n$$'],
    ['do $$ broken off passw', 'do $$ broken off passw'],
    ['do $$ begin execute $q$ passw $q$; end $$; select $$my passwd$$', 'do $$ begin execute ?; end $$; select ?'],
    ['alter role x password $$hush$$; do $$ x $$', 'alter role x password ?; do $$ x $$'],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql, { hide: 'passwords' }), masked);
  assert.equal(mask("do $$ begin delete from t where n = 'x' and m = 4; end $$"), 'do $$ begin delete from t where n = ? and m = ?; end $$');
});

test('D01 code is shown however it is quoted, and wherever', () => {
  const table: readonly (readonly [string, string])[] = [
    ["do 'begin update t set x = ''a'', n = 5; end'", "do 'begin update t set x = ?, n = ?; end'"],
    ["do language plpgsql E'begin\\n update t set x = \\'a\\'; \\x64elete from t; end'", "do language plpgsql E'begin\\n update t set x = ?; \\x64elete from t; end'"],
    ["do 'begin '\n'delete from t where n = ''a'' '\n 'or m = 1; end'", "do 'begin '\n'delete from t where n = ? '\n 'or m = ?; end'"],
    ["do language 'plpgsql' $$ delete from t $$", 'do language ? $$ delete from t $$'],
    ["create function f(a text default 'x') returns int language 'sql' as 'delete from t where n = 5'", "create function f(a text default ?) returns int language ? as 'delete from t where n = ?'"],
    ["create or replace procedure p() as'delete from t' language sql", "create or replace procedure p() as'delete from t' language sql"],
    ['do $$ begin do $q$ delete from t $q$; create function f() as $q$ delete from u $q$; end $$', 'do $$ begin do $q$ delete from t $q$; create function f() as $q$ delete from u $q$; end $$'],
    ["do U&'begin !0064elete from t; end' uescape '!'", "do U&'begin !0064elete from t; end' uescape ?"],
    ["insert into t values (1) on conflict do update set x = 'a'", 'insert into t values (?) on conflict do update set x = ?'],
    ["create view v as select 'a'", 'create view v as select ?'],
    // It may run under another setting than it is sent by: what is code in one of the two ways is shown.
    ["do $$ begin x := '\\'; update t set n = 0; x := ''; end $$", "do $$ begin x := ?; update t set n = ?; x := ?; end $$"],
    ["do $$ begin x := '\\''; update t set n = 0; x := ''; end $$", "do $$ begin x := ?; update t set n = ?; x := ?; end $$"],
  ];
  for (const [sql, masked] of table) assert.equal(mask(sql), masked);
  const secret = "create function f() returns passw_t as'delete from t; alter role x password ''hush'''";
  assert.equal(mask(secret, { hide: 'passwords' }), "create function f() returns passw_t as'delete from t; alter role x password ?'");
});

test('H03 code quoted in code without end neither ends the process nor takes its time', () => {
  const sql = Array.from({ length: 100_000 }, (_, n) => `do $a${n}$ `).join('');
  const stand = freshStand();
  const bytes = Buffer.from(`${sql} passw 'hush'`);
  const { marks } = markTokens(bytes, 0, bytes.length, { rules: { hide: 'passwords', backslashes: false }, stand, last: true });
  assert.equal(showUnmarked(bytes, 0, bytes.length, marks).toString(), 'do $a0$ do $a1$ do $a2$ do $a3$ do $a4$ do $a5$ do $a6$ do $a7$ do ?');
  assert.equal(stand.deep, true);
});

test('whatever the text, a marked literal never shows, and the result is never longer', () => {
  const piece = fc.oneof(
    fc.constantFrom("'", '"', '$$', '$a$', '--', '/*', '*/', '\n', 'E', '\\', 'select ', ' ', ',', '1', '\u00e9'),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, backslashes) => {
    const sql = pieces.join('');
    const masked = mask(sql, { backslashes });
    assert.ok(Buffer.byteLength(masked) <= Buffer.byteLength(sql) + 0 || masked.includes('\ufffd'));
  }));
  // In front of it only what leaves the tokenizer outside of any literal.
  fc.assert(fc.property(fc.array(fc.constantFrom("'x'", '"y"', '$$z$$', '--c\n', '/*d*/', ' a ', ' 1 ', "E'\\''"), { maxLength: 10 }), (pieces) => {
    assert.ok(!mask(`${pieces.join(' ')} 'SECRET'`).includes('SECRET'));
    assert.ok(!mask(`${pieces.join(' ')} password 'SECRET'`, { hide: 'passwords' }).includes('SECRET'));
  }));
});

test('text that speaks of passwords is found in any case', () => {
  for (const [sql, found] of [['ALTER ROLE x PassWord', true], ['passw', true], ['pass w', false], ['', false]] as const) {
    assert.equal(speaksOfPasswords(Buffer.from(sql), 0, sql.length), found);
  }
});
