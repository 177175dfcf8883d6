import type { FastifyInstance, FastifyRequest } from 'fastify';
import { originOf } from '#domain/origin-of.ts';
import { Refusal } from '#domain/refusal.ts';
import { authenticate } from './authenticate.ts';
import type { ServerDeps } from './deps.ts';
import { sendProblem } from './send-problem.ts';

/** What is not part of the API: health, metrics, the log's static files, and a word for a browser. */
export function servePlain(server: FastifyInstance, deps: ServerDeps): void {
  server.get('/healthz', (_request, reply) => reply.type('text/plain').send('alive\n'));
  // H01: nobody has to sign in for this, so however many ask, one look at the store is under way.
  let look: Promise<boolean> | null = null;
  const isReady = () => (look ??= deps.app.store.transaction(async (tx) => tx.now).then(() => true, () => false).finally(() => (look = null)));
  server.get('/readyz', async (_request, reply) => {
    const ready = await isReady();
    return reply.status(ready ? 200 : 503).type('text/plain').send(ready ? 'ready\n' : 'the store is not reachable\n');
  });
  server.get('/metrics', async (request, reply) => {
    if (!isLocal(request)) return sendProblem(deps, reply, new Refusal('forbidden', 'metrics are served to this machine only'));
    return reply.type('text/plain; version=0.0.4').send(await deps.metrics());
  });
  server.get('/log/*', async (request, reply) => {
    const path = (request.params as { '*': string })['*'];
    const address = deps.clientAddress.of(request.socket.remoteAddress ?? '', request.raw.headersDistinct['x-forwarded-for']);
    try {
      if (!deps.rateLimit.allow(`log ${originOf(address)}`, 'log')) throw new Refusal('rate_limited', 'too many files of the log at once', { hint: 'Wait a second.' });
      if (!deps.publicLog && path !== 'checkpoint' && path !== 'log.vkey') {
        await authenticate(deps, request, null, address);
      }
      const file = await deps.log.file(deps.app, path);
      if (!file) throw new Refusal('not_found', 'the log has no such file');
      reply.header('cache-control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-store');
      return await reply.type(path === 'checkpoint' || path === 'log.vkey' ? 'text/plain; charset=utf-8' : 'application/octet-stream').send(Buffer.from(file.bytes));
    } catch (error) {
      return sendProblem(deps, reply, error);
    }
  });
  const hello = 'Brevet is running.\n\nTalk to it with the command line: brevet --help\nIts API is described at /api/v1/openapi.json\n';
  server.get('/', (_request, reply) => reply.type('text/plain').send(hello));
  // A sign-in link opened in a browser: its secret is in the fragment, which never reaches a server.
  server.get('/sign-in', (_request, reply) => reply.type('text/plain').send('This is a one-time sign-in link for the command line. Copy the whole address and run:\n\n  brevet login "<the address>"\n'));
}

/** From this machine, and not handed on by a proxy that runs here. */
function isLocal({ socket, headers }: FastifyRequest): boolean {
  const handedOn = ['x-forwarded-for', 'x-real-ip', 'forwarded', 'via'].some((name) => headers[name] !== undefined);
  return !handedOn && ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(socket.remoteAddress ?? '');
}
