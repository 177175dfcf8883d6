/**
 * Brings a database to the schema of this build: every `NNNN-name.sql` of a folder, in order, forward only, each in a
 * transaction of its own together with its row in `brevet.migrations`. Everything lives in the schema `brevet`.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError, type ClientBase } from 'pg';
import { Refusal } from '#domain/refusal.ts';

const FILE_NAME = /^([0-9]{4})-([a-z0-9-]+)\.sql$/;
/** Transaction-level advisory lock: of any number of servers that start at once, one migrates and the others wait. */
const MIGRATION_LOCK = 0x6d696772;

export interface Migration {
  readonly number: number;
  /** `0001-foundation` */
  readonly name: string;
  readonly sql: string;
  /** Lower-case hex over the file's bytes. */
  readonly sha256: string;
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  /** The version of Brevet that applied it. */
  readonly applied_by: string;
}

/** Reads and checks the folder. @throws Refusal `invalid_configuration` for names out of form, gaps and doubles. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map(async (file, at) => {
    const number = Number(FILE_NAME.exec(file)?.[1]);
    if (number !== at + 1) {
      throw new Refusal('invalid_configuration', `Migration files are numbered 0001, 0002 ... without gaps: "${file}" is not number ${at + 1}.`, { field: join(folder, file) });
    }
    const sql = await readFile(join(folder, file), 'utf8');
    return { number, name: file.slice(0, -'.sql'.length), sql, sha256: createHash('sha256').update(sql).digest('hex') };
  }));
}

/**
 * Applies what is missing and answers the names of what it applied. Needs a connection that may create in the database,
 * outside a transaction; safe to call from any number of servers at once, also through a pooler.
 * @param version of this build, kept with each row, so that an older build can say which one is needed.
 * @throws Refusal `unsupported` when the database is newer than the folder, `invalid_configuration` when a file that was
 * applied has changed since, `internal` when a migration fails; that one is rolled back, those before it stay.
 */
export async function migrate(client: ClientBase, folder: string, version = 'unknown'): Promise<readonly string[]> {
  const migrations = await readMigrations(folder);
  const done: string[] = [];
  for (;;) {
    const next = await inTransaction(client, async () => {
      await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      const missing = checkHistory(migrations, await history(client));
      if (missing !== undefined) await apply(client, missing, version, folder);
      return missing;
    });
    if (next === undefined) return done;
    done.push(next.name);
  }
}

/** Compares what was applied with what this build holds; answers the next one to apply, if any. */
function checkHistory(migrations: readonly Migration[], applied: readonly Applied[]): Migration | undefined {
  for (const [at, past] of applied.entries()) {
    const ours = migrations[at];
    if (ours === undefined) {
      const last = applied.at(-1) ?? past;
      throw new Refusal('unsupported', `The database is newer than this Brevet: it has migration ${last.name}, this build ends at ${migrations.at(-1)?.name ?? 'none'}.`, {
        hint: `Start Brevet ${last.applied_by} or newer on it, or restore a backup of before the upgrade.`,
      });
    }
    if (past.number !== ours.number || past.sha256 !== ours.sha256) {
      throw new Refusal('invalid_configuration', `Migration ${ours.name} has changed since it was applied to this database (as ${past.name}, by Brevet ${past.applied_by}).`, {
        field: `${ours.name}.sql`, hint: 'A migration is final once applied: restore the file, and write a new migration for the change.',
      });
    }
  }
  return migrations[applied.length];
}

/** Reads before it creates: on a database that is up to date, a role that may not create can still check. */
async function history(client: ClientBase): Promise<readonly Applied[]> {
  const known = await client.query<{ there: boolean }>(`select to_regclass('brevet.migrations') is not null as there`);
  if (known.rows[0]?.there !== true) {
    await client.query(`
      create schema if not exists brevet;
      create table brevet.migrations (
        number     integer primary key check (number > 0),
        name       text not null,
        sha256     text not null check (sha256 ~ '^[0-9a-f]{64}$'),
        applied_by text not null,
        applied_at timestamptz not null default now()
      )`);
  }
  return (await client.query<Applied>('select number, name, sha256, applied_by from brevet.migrations order by number')).rows;
}

async function apply(client: ClientBase, migration: Migration, version: string, folder: string): Promise<void> {
  try {
    await client.query(migration.sql);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { message, position } = error;
    const line = position === undefined ? '' : `:${migration.sql.slice(0, Number(position)).split('\n').length}`;
    throw new Refusal('internal', `Migration ${migration.name} failed and was rolled back: ${message}`, { field: `${join(folder, migration.name)}.sql${line}` });
  }
  await client.query('insert into brevet.migrations (number, name, sha256, applied_by) values ($1, $2, $3, $4)', [
    migration.number, migration.name, migration.sha256, version,
  ]);
}

async function inTransaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const answer = await work();
    await client.query('commit');
    return answer;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
