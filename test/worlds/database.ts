/**
 * A database of one's own for a test: cloned in some 20 ms from a template that holds all migrations, dropped at the
 * end, and failing the test when a connection to it was left open.
 *
 *     await using db = await testDatabase();
 *     await db.pool.query('select ...');
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { migrate, readMigrations } from '#store/migrate.ts';
import { startTestStore, type TestStore } from './test-store.ts';

const MIGRATIONS = join(import.meta.dirname, '../../src/store/migrations');
const TEMPLATE = 'brevet_template_';
const CLONE = 'brevet_test_';
/** Class of the advisory locks: each process holds one on every database it made, so that others know whose is dead. */
const IN_USE = 0x74657374;
const SETTLE_MS = 1_000;

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly connectionOptions: { readonly connectionString: string };
  /** At most ten connections; ended by disposal. */
  readonly pool: Pool;
}

export interface TestDatabaseOptions {
  /** Another folder of migrations than the real one. */
  readonly migrations?: string;
}

let administrator: Promise<Client> | null = null;
/** Only when this file runs alone: `test/run.ts` brings one server for all. */
let ownStore: Promise<TestStore> | null = null;
/** Databases that are not dropped yet: a file's own `after` may run after the one below. */
let live = 0;
let over = false;
const templates = new Map<string, Promise<string>>();

export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const admin = await (administrator ??= connectAdministrator());
  const folder = options.migrations ?? MIGRATIONS;
  const template = await (templates.get(folder) ?? remember(folder, makeTemplate(admin, folder)));
  const name = CLONE + randomBytes(8).toString('hex');
  await hold(admin, name);
  await admin.query(`create database ${name} template ${template}`);
  const url = await urlOf(name);
  const pool = new Pool({ connectionString: url, max: 10 });
  live += 1;
  // Tests that kill the server on purpose see the error of their own query.
  pool.on('error', () => undefined);
  return {
    name, url, connectionOptions: { connectionString: url }, pool,
    async [Symbol.asyncDispose]() {
      if (!pool.ended) await pool.end();
      const leaked = await connectionsAfterSettling(admin, name);
      await admin.query(`drop database if exists ${name} with (force)`);
      await release(admin, name);
      live -= 1;
      await closeWhenOver();
      if (leaked.length > 0) throw new Error(`${leaked.length} connections to the test's database were left open: ${leaked.join(', ')}`);
    },
  };
}

after(async () => {
  over = true;
  await closeWhenOver();
});

async function closeWhenOver(): Promise<void> {
  if (!over || live > 0) return;
  await (await administrator)?.end();
  await (await ownStore)?.[Symbol.asyncDispose]();
}

/** Of the server, with its maintenance database. */
export async function storeUrl(): Promise<string> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') return given;
  return (await (ownStore ??= startTestStore())).url;
}

async function connectAdministrator(): Promise<Client> {
  const client = new Client({ connectionString: await storeUrl(), application_name: `brevet tests ${process.pid}` });
  client.on('error', () => undefined);
  await client.connect();
  await sweep(client);
  return client;
}

function remember(folder: string, template: Promise<string>): Promise<string> {
  templates.set(folder, template);
  return template;
}

/** Made once for each content of the folder, under a half name first: a template that exists is complete. */
async function makeTemplate(admin: Client, folder: string): Promise<string> {
  const template = await templateOf(folder);
  // Shared with every process that uses it; who has it alone may drop it.
  await admin.query('select pg_advisory_lock_shared($1, hashtext($2))', [IN_USE, template]);
  await alone(admin, async () => {
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [template]);
    if (rowCount !== 0) return;
    const half = `${template}_half`;
    await admin.query(`drop database if exists ${half} with (force)`);
    await admin.query(`create database ${half} template template0 encoding 'UTF8' locale 'C'`);
    const client = new Client({ connectionString: await urlOf(half) });
    await client.connect();
    await migrate(client, folder, 'test').finally(() => client.end());
    await connectionsAfterSettling(admin, half);
    await admin.query(`alter database ${half} rename to ${template}`);
  });
  return template;
}

/** Drops what killed runs left: databases, and templates of other migrations, whose lock nobody holds. */
async function sweep(admin: Client): Promise<void> {
  const kept = await templateOf(MIGRATIONS);
  await alone(admin, async () => {
    const { rows } = await admin.query<{ datname: string }>('select datname from pg_database where starts_with(datname, $1) or starts_with(datname, $2)', [CLONE, TEMPLATE]);
    for (const { datname } of rows.filter((row) => row.datname !== kept)) {
      const free = await admin.query<{ free: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as free', [IN_USE, datname]);
      if (free.rows[0]?.free !== true) continue;
      await admin.query(`drop database if exists ${datname} with (force)`);
      await release(admin, datname);
    }
  });
}

/** One process at a time makes templates and sweeps. */
async function alone(admin: Client, work: () => Promise<void>): Promise<void> {
  await admin.query('select pg_advisory_lock($1, 0)', [IN_USE]);
  await work().finally(() => admin.query('select pg_advisory_unlock($1, 0)', [IN_USE]));
}

async function templateOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const { name, sha256 } of await readMigrations(folder)) hash.update(`${name} ${sha256}\n`);
  return TEMPLATE + hash.digest('hex').slice(0, 16);
}

async function connectionsAfterSettling(admin: Client, name: string): Promise<readonly string[]> {
  for (let waited = 0; ; waited += 20) {
    const { rows } = await admin.query<{ who: string }>(
      `select format('%s (%s)', coalesce(nullif(application_name, ''), 'unnamed'), coalesce(left(query, 60), state)) as who
         from pg_stat_activity where datname = $1 and backend_type = 'client backend'`, [name]);
    if (rows.length === 0 || waited >= SETTLE_MS) return rows.map(({ who }) => who);
    await sleep(20);
  }
}

function hold(admin: Client, name: string) {
  return admin.query('select pg_advisory_lock($1, hashtext($2))', [IN_USE, name]);
}

function release(admin: Client, name: string) {
  return admin.query('select pg_advisory_unlock($1, hashtext($2))', [IN_USE, name]);
}

async function urlOf(database: string): Promise<string> {
  const url = new URL(await storeUrl());
  url.pathname = `/${database}`;
  return url.href;
}
