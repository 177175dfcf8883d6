import type { FastifyInstance } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { maySee } from '#app/visibility.ts';
import type { StoredEntry } from '#app/ports/entry-table.ts';
import { isId, type KeyId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { authenticate } from './authenticate.ts';
import type { ServerDeps } from './deps.ts';
import { goneSignal } from './gone-signal.ts';
import { InFlight } from './in-flight.ts';
import { presentEntry } from './handlers/log.ts';
import { sendProblem } from './send-problem.ts';
import type { Directory } from './present/directory.ts';
import { viewing } from './viewing.ts';

const BATCH = 200;
const KEEP_ALIVE_MS = 15_000;
/** Of one caller, at once, on this server. */
const MOST_STREAMS = 10;

/**
 * Server-sent events, fed from the log by a cursor: at least once, in order, each with its index as id. A client that
 * comes back with `Last-Event-ID` misses nothing. Everybody gets what they may see, administrators everything; who may
 * is asked again for each entry, so that a stream outlives no right.
 */
export function serveEvents(server: FastifyInstance, deps: ServerDeps): void {
  const open = new InFlight(MOST_STREAMS);
  server.get('/api/v1/events', async (request, reply) => {
    const gone = goneSignal(reply.raw);
    const address = deps.clientAddress.of(request.socket.remoteAddress ?? '', request.raw.headersDistinct['x-forwarded-for']);
    const last = request.headers['last-event-id'];
    let from: number;
    let actor: Actor;
    let leave: (() => void) | null = null;
    try {
      actor = await authenticate(deps, request, null, address, true);
      if (!deps.rateLimit.allow(actor.id, 'signed_in')) throw new Refusal('rate_limited', 'too many calls', { hint: 'Wait a few seconds.' });
      from = await firstIndex(deps, actor, typeof last === 'string' ? last : null);
      leave = open.enter(actor.id);
      if (!leave) throw new Refusal('rate_limited', `you have ${MOST_STREAMS} streams open already`, { hint: 'Close one first.' });
    } catch (error) {
      return sendProblem(deps, reply, error);
    }
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    raw.write(': here\n\n');
    await stream(deps, actor, from, raw, gone).catch(() => undefined).finally(leave);
    raw.end();
    return reply;
  });
}

async function firstIndex(deps: ServerDeps, actor: Actor, last: string | null): Promise<number> {
  if (last !== null && !/^\d{1,15}$/.test(last)) throw new Refusal('invalid_input', 'Last-Event-ID is an index of the log');
  return await viewing(deps.app, actor, async ({ tx }) => (last === null ? (await tx.entries.head()).size : Number(last) + 1));
}

async function stream(deps: ServerDeps, actor: Actor, from: number, out: NodeJS.WritableStream, gone: AbortSignal): Promise<void> {
  let wake: () => void = () => undefined;
  const stop = deps.app.store.listen('log', () => wake());
  gone.addEventListener('abort', () => wake());
  const keepAlive = setInterval(() => out.write(': still here\n\n'), KEEP_ALIVE_MS);
  try {
    for (let next = from; !gone.aborted; ) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const { text, read } = await viewing(deps.app, actor, async (directory) => {
        // The stream lives no longer than the key that signed for it.
        const key = await directory.tx.credentials.key(actor.authentication.by as KeyId);
        if (key?.revokedAt !== null) throw new Refusal('unauthenticated', 'the key is revoked');
        return await readSome(directory, next);
      });
      next += read;
      if (text !== '' && !out.write(text)) await Promise.race([new Promise((resolve) => out.once('drain', resolve)), woken]);
      if (read < BATCH && !gone.aborted) await Promise.race([woken, new Promise((resolve) => setTimeout(resolve, 1000))]);
    }
  } finally {
    clearInterval(keepAlive);
    stop();
  }
}

async function readSome(directory: Directory, from: number): Promise<{ text: string; read: number }> {
  const entries = await directory.tx.entries.from(from, BATCH);
  let text = '';
  for (const entry of entries) {
    if (!(await mine(directory, entry))) continue;
    text += `id: ${entry.index}\nevent: ${entry.type}\ndata: ${JSON.stringify(await presentEntry(directory, entry))}\n\n`;
  }
  return { text, read: entries.length };
}

async function mine({ tx, viewer }: Directory, entry: StoredEntry): Promise<boolean> {
  if (viewer.principal.administrator) return true;
  const { data } = JSON.parse(entry.body) as { data: Record<string, unknown> };
  if (data['principal'] === viewer.principal.id) return true;
  const { request: requestId, grant: grantId } = data;
  const request = isId('request', requestId) ? await tx.requests.byId(requestId) : null;
  if (request) return await maySee(tx, viewer, request);
  const grant = isId('grant', grantId) ? await tx.grants.byId(grantId) : null;
  return grant !== null && (await maySee(tx, viewer, grant));
}
