import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { Refusal } from '#domain/refusal.ts';
import { startPostgresTarget, yes, type PostgresTarget } from '#test/worlds/postgres-target.ts';
import { faultOfName, formatQualified, parseQualified, quoteIdentifier, quoteLiteral } from './identifier.ts';

let world: PostgresTarget;
before(async () => {
  world = await startPostgresTarget();
});
after(() => world[Symbol.asyncDispose]());

const EVIL = [
  'x"; DROP ROLE postgres;--', "x'; drop role postgres;--", 'back\\slash', "\\'; drop table x;--", '$$', '$1', 'a b', ' lead', 'Ünïcödé', 'select', '"', "'", '%I', '{}', '😀', 'a.b', '-- c', '/*',
];

test('C01: whatever is in a name or a text, the server reads back the same (fast-check)', async () => {
  await using session = await world.session('postgres', world.server.password);
  for (const mode of ['on', 'off']) {
    await session.query(`set standard_conforming_strings = ${mode}; set backslash_quote = on`);
    const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom(...EVIL), fc.string({ unit: fc.constantFrom("'", '"', '\\', '\n', '$', 'a', ';', '-'), maxLength: 15 }));
    await fc.assert(
      fc.asyncProperty(anything.filter((text) => !text.includes('\0') && text.isWellFormed()), async (text) => {
        assert.equal((await session.query(`select ${quoteLiteral(text)} as x`))[0]?.['x'], text);
        if (text === '' || Buffer.byteLength(text) > 63) return assert.throws(() => quoteIdentifier(text), Refusal);
        const [row] = await session.query(`select 1 as ${quoteIdentifier(text)}`);
        assert.deepEqual(Object.keys(row ?? {}), [text]);
      }),
      { numRuns: 150 },
    );
  }
  for (const bad of ['', 'a\0b', '\ud800', 'x'.repeat(64), 'é'.repeat(32)]) assert.throws(() => quoteIdentifier(bad), Refusal);
  assert.throws(() => quoteLiteral('a\0b'), Refusal);
  assert.equal(quoteIdentifier('é'.repeat(31)).length, 33);
});

test('C01: qualified names have one spelling and come back whole (fast-check)', () => {
  const part = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
  fc.assert(fc.property(part, part, (schema, name) => assert.deepEqual(parseQualified(formatQualified({ schema, name })), { schema, name })), { numRuns: 2000 });
  for (const bad of ['', 'a', '.', 'a.', '.a', 'a.b.c', '"a.b', 'a"."b', ' a.b', 'a.b ', '""."a"', 'a..b', '__proto__']) assert.equal(parseQualified(bad), null, bad);
  for (const bad of ['', 'a\nb', 'a\u202eb', 'a\u200bb', '\x1b[31m', 'a\0', 'x'.repeat(64), '\ud800']) assert.ok(faultOfName(bad), JSON.stringify(bad));
});

test('C01: evil names of database, schema, table, column, function and role go through grant and removal unharmed', async () => {
  for (const [i, evil] of EVIL.entries()) {
    const q = quoteIdentifier(evil);
    const lent = quoteIdentifier(`${evil} role`);
    await world.sql(`create schema ${q}; create table ${q}.${q} (${q} serial, other int); create function ${q}.${q}(${q} int) returns int language sql as 'select 1'; create role ${lent}`);
    const before = await world.fingerprint();
    const qualified = formatQualified({ schema: evil, name: evil });
    const plan = world.plan({ database: 'orders', verbs: ['select', 'insert'], tables: i % 2 ? [qualified] : [], schemas: i % 2 ? [] : [evil], functions: [qualified], createIn: [evil], roles: [`${evil} role`] });
    const { secret } = await world.connector.provision(plan, yes);
    const used = await world.psql(plan.objectName, secret ?? '', `insert into ${q}.${q} default values returning ${q}; select ${q}.${q}(1); create table ${q}.${quoteIdentifier(`${evil}!`)} (n int); set role ${lent}`);
    assert.ok(used.ok, used.text);
    const taken = await world.connector.withdraw(plan);
    assert.ok(taken.gone, JSON.stringify(taken));
    await world.sql(`drop table ${q}.${quoteIdentifier(`${evil}!`)}`);
    assert.equal(await world.fingerprint(), before);
    await world.sql(`drop schema ${q} cascade; drop role ${lent}`);
  }
  const database = 'x"; DROP ROLE postgres;--';
  await world.server.query(`create database ${quoteIdentifier(database)}`);
  const plan = world.plan({ database, createIn: ['public'] });
  await world.connector.provision(plan, yes);
  assert.equal((await world.connector.withdraw(plan)).gone, true);
  const account = quoteIdentifier(EVIL[0] ?? '');
  await world.sql(`create role ${account} login; create role team`);
  const bare = world.plan({ roles: ['team'] }, { kind: 'temporary_elevation', account: EVIL[0] ?? '' });
  const raised = { ...bare, prior: await world.connector.prepare(bare) };
  await world.connector.provision(raised, yes);
  assert.equal((await world.connector.withdraw(raised)).gone, true);
  assert.equal((await world.sql("select from pg_roles where rolname = 'postgres'")).length, 1);
});

test('C01: a name that nobody could read is refused where it is written', () => {
  for (const bad of ['a\nb', 'a\0b', '\u202ecod', 'x'.repeat(64), '']) {
    for (const scope of [{ database: bad, schemas: ['s'], access: 'read-only' }, { database: 'd', schemas: [bad], access: 'read-only' }, { database: 'd', tables: [`s.${bad}`], access: 'read-only' }, { database: 'd', roles: [bad] }]) {
      assert.throws(() => world.connector.parseScope('ephemeral_account', scope), (error) => error instanceof Refusal && error.code === 'invalid_input' && !/[\n\0\u202e]/.test(error.message), JSON.stringify(scope));
    }
  }
});
