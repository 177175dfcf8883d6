/** `src/store/schema.sql` shows what all migrations add up to, so that each migration is also a readable diff. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { describeSchema } from '#store/describe-schema.ts';
import { migrate } from '#store/migrate.ts';
import { testDatabase } from '../worlds/database.ts';
import { startTestServer } from '../worlds/postgres-server.ts';

const FILE = join(import.meta.dirname, '../../src/store/schema.sql');
const HEAD = `-- What the migrations add up to. To read, not to run: \`npm run schema\` writes this file, and a test compares it.\n\n`;

function firstDifference(left: string, right: string): string | null {
  const [a, b] = [left.split('\n'), right.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  return left === right ? null : `line ${at + 1}: ${a[at]} | ${b[at]}`;
}

test('schema.sql is what the migrations make', async () => {
  await using db = await testDatabase();
  const client = await db.pool.connect();
  const text = HEAD + (await describeSchema(client).finally(() => client.release()));
  if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(FILE, text);
  const committed = await readFile(FILE, 'utf8').catch(() => '');
  assert.equal(firstDifference(committed, text), null, 'src/store/schema.sql is not up to date: npm run schema');
});

test('the description does not depend on the version of the server', async () => {
  await using db = await testDatabase();
  await using other = await startTestServer();
  const client = new Client(other.url());
  await client.connect();
  try {
    await migrate(client, join(import.meta.dirname, '../../src/store/migrations'));
    const [theirs, ours] = [await describeSchema(client), await db.pool.connect().then((own) => describeSchema(own).finally(() => own.release()))];
    assert.equal(firstDifference(theirs, ours), null);
  } finally {
    await client.end();
  }
});

test('the description shows types, tables, keys, indexes, triggers, functions and grants', async () => {
  await using db = await testDatabase();
  const client = await db.pool.connect();
  try {
    await client.query(`
      create type brevet.zz_mood as enum ('calm', 'it''s late');
      create domain brevet.zz_short as text check (length(value) < 9);
      create sequence brevet.zz_free;
      create table brevet.zz_sample (
        id bigint generated always as identity primary key, mood brevet.zz_mood not null default 'calm', word brevet.zz_short,
        twice text generated always as (word || word) stored, other bigint references brevet.zz_sample on delete cascade, check (mood <> 'calm' or word is not null));
      create unique index zz_by_word on brevet.zz_sample (lower(word)) where other is null;
      create function brevet.zz_touch() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger zz_touch before update on brevet.zz_sample for each row execute function brevet.zz_touch();
      create view brevet.zz_view as select id, word from brevet.zz_sample;
      grant select, insert on brevet.zz_sample to public`);
    const text = await describeSchema(client);
    for (const expected of [
      `create type brevet.zz_mood as enum ('calm', 'it''s late');`,
      'create domain brevet.zz_short as text CHECK ((length(VALUE) < 9));',
      'create sequence brevet.zz_free as bigint increment 1;',
      '  id bigint not null generated always as identity,',
      `  mood brevet.zz_mood not null default 'calm'::brevet.zz_mood,`,
      'twice text generated always as',
      'constraint zz_sample_pkey PRIMARY KEY (id)',
      'REFERENCES brevet.zz_sample(id) ON DELETE CASCADE',
      'CREATE UNIQUE INDEX zz_by_word ON brevet.zz_sample USING btree',
      'CREATE TRIGGER zz_touch BEFORE UPDATE ON brevet.zz_sample',
      'CREATE OR REPLACE FUNCTION brevet.zz_touch()',
      'create view brevet.zz_view (id bigint, word brevet.zz_short);',
      'grant insert, select on brevet.zz_sample to public;',
    ]) assert.ok(text.includes(expected), `${expected}\nis missing in\n${text}`);
    assert.doesNotMatch(text, /constraint \S+ NOT NULL/, 'what only newer versions list is left out');
  } finally {
    client.release();
  }
});
