/** What system tests do in a whole Brevet over and over: ask, approve, connect with the driver, read the log, measure. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { Answer } from '#contract/routes.ts';
import type { BrevetWorld, Caller } from './brevet-world.ts';

const run = promisify(execFile);

/** What came back, or an error with what was refused. */
export async function must<T>(reply: Promise<{ readonly body: T; readonly problem: { readonly code: string; readonly detail: string } | null }>): Promise<T> {
  const { body, problem } = await reply;
  if (problem) throw new Error(`${problem.code}: ${problem.detail}`);
  return body;
}

export async function ask(caller: Caller, entitlement: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answer<'request'>> {
  return await must(caller.post<Answer<'request'>>('/api/v1/requests', { entitlement, reason: 'a test', duration: 60, ...more }));
}

/** Approves; answers the request as it then stands, with its grant when that was the last stage. */
export async function approve(reviewer: Caller, request: Answer<'request'>, more: Readonly<Record<string, unknown>> = {}): Promise<Answer<'request'>> {
  return await must(reviewer.post<Answer<'request'>>(`/api/v1/requests/${request.id}/reviews`, { decision: 'approve', hash: request.hash, ...more }));
}

/** Types of the log's entries about a grant, oldest first, once the sequencer has numbered them all. */
export async function storyOf(world: BrevetWorld, grant: string): Promise<readonly string[]> {
  const sam = await world.as('sam');
  const { items } = await must(sam.get<Answer<'logEntries'>>(`/api/v1/log/entries?grant=${grant}&limit=100`));
  return items.map((entry) => entry.type).toReversed();
}

/** psql's environment with one grant named. */
export async function envFor(world: BrevetWorld, who: string, grant?: string): Promise<Record<string, string>> {
  const env = await world.clientEnv(who);
  return grant === undefined ? env : { ...env, PGOPTIONS: `-c brevet.grant=${grant}` };
}

export async function psql(env: Readonly<Record<string, string>>, sql: string): Promise<string> {
  return (await run('psql', ['-XAtc', sql], { env: { ...env } })).stdout.trim();
}

/** A connection of the driver `pg` that remembers what ended it. */
export interface Held {
  readonly client: Client;
  /** The server's words, with the instant (performance.now) at which they came. */
  readonly lost: Promise<{ readonly message: string; readonly at: number }>;
  readonly notices: readonly string[];
}

export async function hold(env: Readonly<Record<string, string>>): Promise<Held> {
  const file = (name: string) => readFileSync(env[name] ?? '', 'utf8');
  const client = new Client({
    host: 'localhost', port: Number(env['PGPORT']), user: env['PGUSER'] ?? '', database: env['PGDATABASE'] ?? '',
    ssl: { ca: file('PGSSLROOTCERT'), cert: file('PGSSLCERT'), key: file('PGSSLKEY') },
    ...(env['PGOPTIONS'] === undefined ? {} : { options: env['PGOPTIONS'] }),
  });
  const notices: string[] = [];
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  const lost = new Promise<{ message: string; at: number }>((resolve) => client.on('error', (error) => resolve({ message: error.message, at: performance.now() })));
  await client.connect();
  return { client, lost, notices };
}

/** Looks until something is so. @throws with `what` when it takes longer than `ms` */
export async function eventually<T>(what: string, ms: number, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

/** Backends on the target that belong to grants' accounts, or to roles that are gone. */
export async function strangers(world: BrevetWorld, accounts: readonly string[]): Promise<number> {
  const { rows } = await world.target.query(
    `select count(*)::int as n from pg_stat_activity a where backend_type = 'client backend'
       and (usename = any($1) or not exists (select from pg_roles r where r.oid = a.usesysid))`, [accounts]);
  return (rows[0] as { n: number }).n;
}
