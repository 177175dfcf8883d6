/** Steps that tests of the API share: asking, deciding, reading the log, and what a refusal looks like. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { SourceFile } from '#app/configuration/read-files.ts';
import { Problem, type ProblemCode } from '#contract/problem.ts';
import { signRequest } from '#contract/request-signature.ts';
import type { Answer } from '#contract/routes.ts';
import { demoFiles } from '#main/demo/world.ts';
import { callerWith, type BrevetWorld, type Caller, type Reply } from './brevet-world.ts';

export type Request = Answer<'request'>;
export type Grant = Answer<'grant'>;

/** An error as the contract words it, of this status and code. */
export function refused(reply: Reply, status: number, code: ProblemCode): Problem {
  assert.equal(`${reply.status} ${reply.problem?.code}`, `${status} ${code}`, JSON.stringify(reply.body));
  return Problem.parse(reply.body);
}

export function done<T>(reply: Reply<T>): T {
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body;
}

export interface Asking {
  readonly entitlement?: string;
  readonly reason?: string;
  readonly ticket?: string;
  readonly duration?: number | string;
  /** Hours ahead: what is approved then stays scheduled, and no target is touched. */
  readonly inHours?: number;
}

export async function ask(caller: Caller, { entitlement = 'orders-write', reason = 'a test', inHours, ...more }: Asking = {}): Promise<Request> {
  const startAt = inHours === undefined ? {} : { startAt: new Date(Date.now() + inHours * 3_600_000).toISOString() };
  return done(await caller.post<Request>('/api/v1/requests', { entitlement, reason, ...startAt, ...more }));
}

export const see = async (caller: Caller, id: string): Promise<Request> => done(await caller.get<Request>(`/api/v1/requests/${id}`));

export function review(caller: Caller, { id, hash }: Pick<Request, 'id' | 'hash'>, more: object = {}): Promise<Reply<Request>> {
  return caller.post<Request>(`/api/v1/requests/${id}/reviews`, { decision: 'approve', hash, ...more });
}

/** Types of the entries about one request or grant, oldest first, as an administrator reads them. */
export async function told(world: BrevetWorld, about: { request: string } | { grant: string }): Promise<readonly string[]> {
  const query = new URLSearchParams({ ...about, limit: '200' });
  const { items } = done(await (await world.as('sam')).get<Answer<'logEntries'>>(`/api/v1/log/entries?${query}`));
  return items.map((entry) => entry.type).toReversed();
}

/** The workload, with a key that the administrator has enrolled. */
export async function workload(world: BrevetWorld, name = 'report-bot'): Promise<Caller> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const enrolled = await (await world.as('sam')).post<Answer<'enrolWorkloadKey'>>(`/api/v1/principals/${name}/keys`, {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }), label: 'test',
  });
  return callerWith(world.address, name, done(enrolled).key, privateKey);
}

/** The demonstration's files with one text replaced by another, everywhere. */
export function changed(world: BrevetWorld, from: string | RegExp, to: string): SourceFile[] {
  const files = demoFiles(world.target.port);
  const after = files.map((file) => ({ ...file, text: file.text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), to) }));
  assert.notDeepEqual(after, files, `nothing reads ${String(from)}`);
  return after;
}

/** Waits until the database's answer is true. */
export async function whenTrue(world: BrevetWorld, sql: string, values: readonly unknown[] = [], withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  for (;;) {
    const { rows } = await world.database.pool.query<{ holds: boolean }>(`select (${sql}) as holds`, [...values]);
    if (rows[0]?.holds === true) return;
    assert.ok(performance.now() < end, `never true: ${sql}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** How many rows of requests, reviews, grants, sessions and tokens there are, and in which state: what an attack must not move. */
export async function stateOf(world: BrevetWorld): Promise<string> {
  const { rows } = await world.database.pool.query(`
    select 'request ' || id as what, state || ' ' || coalesce(decision_reason, '') as state from brevet.requests
    union all select 'review ' || id, decision from brevet.reviews
    union all select 'grant ' || id, state || ' ' || coalesce(deadline::text, '') from brevet.grants
    union all select 'session ' || id, state || ' ' || coalesce(cut_reason, '') from brevet.sessions
    union all select 'token ' || handle, coalesce(consumed_at::text, '') from brevet.connection_tokens
    union all select 'certificate ' || fingerprint, '' from brevet.certificates
    union all select 'key ' || id, coalesce(revoked_at::text, '') from brevet.keys
    union all select 'principal ' || name, coalesce(disabled_at::text, '') || administrator from brevet.principals
    union all select 'member ' || group_id || principal_id, '' from brevet.group_members
    union all select 'policies ' || version, '' from brevet.policy_versions order by 1`);
  return JSON.stringify(rows);
}

/** Sends exactly this target, unlike `fetch`, which mends paths first; signed as if for another target, or not at all. */
export async function sendTarget(world: BrevetWorld, target: string, options: { method?: string; as?: Caller; signedFor?: string; headers?: Readonly<Record<string, string>> } = {}): Promise<{ status: number; body: string }> {
  const { method = 'GET', as, signedFor = target, headers = {} } = options;
  const { hostname, port, host } = new URL(world.address);
  const signed = as ? signRequest({ method, authority: host, target: signedFor, headers: {} }, null, as, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) }) : {};
  const sent = httpRequest({ hostname, port, method, path: target, headers: { ...headers, ...signed }, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

/** Sends a signed GET and is gone before anybody could answer. */
export async function hangUp(world: BrevetWorld, as: Caller, target: string): Promise<void> {
  const { hostname, port, host } = new URL(world.address);
  const signed = signRequest({ method: 'GET', authority: host, target, headers: {} }, null, as, { created: Math.floor(Date.now() / 1000), nonce: randomBytes(18) });
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const lines = Object.entries({ host, ...signed }).map(([name, value]) => `${name}: ${value}\r\n`);
  await new Promise((resolve) => socket.end(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, () => resolve(null)));
  socket.destroy();
  await once(socket, 'close');
}
