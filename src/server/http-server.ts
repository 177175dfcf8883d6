import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { ROUTES, type Route, type RouteName } from '#contract/routes.ts';
import { originOf } from '#domain/origin-of.ts';
import { Refusal } from '#domain/refusal.ts';
import { authenticate } from './authenticate.ts';
import { checkAccess } from './check-access.ts';
import type { Call, Handlers, ServerDeps } from './deps.ts';
import { serveEvents } from './events.ts';
import { goneSignal } from './gone-signal.ts';
import { administrationHandlers } from './handlers/administration.ts';
import { askingHandlers } from './handlers/asking.ts';
import { holdingHandlers } from './handlers/holding.ts';
import { identityHandlers } from './handlers/identity.ts';
import { logHandlers } from './handlers/log.ts';
import { sessionHandlers } from './handlers/sessions.ts';
import { noticingEffects, once, type Answered } from './idempotency.ts';
import { InFlight } from './in-flight.ts';
import { openApi } from './open-api.ts';
import { asProblem, sendProblem } from './send-problem.ts';
import { servePlain } from './serve-plain.ts';
import { readInput } from './read-input.ts';
import { parseStrictJson } from './strict-json.ts';

/** Access as code is the largest thing that anybody sends. */
const LARGEST_BODY = 4 * 1024 * 1024;
/** Of one caller, at once: long polls look again at every change, and must not fill the store (H02). */
const MOST_CALLS = 100;

/**
 * The HTTP edge: registers every route of the contract, and nothing else changes anything. Answers are checked against
 * the contract as well as questions, so that no field leaves that the contract does not name.
 */
export async function httpServer(given: ServerDeps): Promise<FastifyInstance> {
  const deps = { ...given, app: { ...given.app, store: noticingEffects(given.app.store) } };
  const server = Fastify({
    logger: false,
    bodyLimit: LARGEST_BODY,
    requestTimeout: 90_000,
    connectionTimeout: 0,
    keepAliveTimeout: 30_000,
    trustProxy: false,
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: 200 },
  });
  // The bytes as they came: the signature covers them, and parsing is stricter than the language's own.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', reply.getHeader('cache-control') ?? 'no-store');
    reply.header('x-content-type-options', 'nosniff');
    reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
    reply.header('referrer-policy', 'no-referrer');
  });
  server.setErrorHandler((error, _request, reply) => sendProblem(deps, reply, fromFastify(error)));
  server.setNotFoundHandler((_request, reply) => sendProblem(deps, reply, new Refusal('not_found', 'there is no such endpoint', { hint: 'GET /api/v1/openapi.json lists all of them.' })));

  const handlers: Handlers = {
    ...askingHandlers(deps), ...holdingHandlers(deps), ...sessionHandlers(deps), ...identityHandlers(deps), ...logHandlers(deps), ...administrationHandlers(deps),
  };
  const calls = new InFlight(MOST_CALLS);
  for (const name of Object.keys(ROUTES) as RouteName[]) register(server, deps, calls, ROUTES[name], handlers[name] as Handler);
  const description = JSON.stringify(openApi(deps.version));
  server.get('/api/v1/openapi.json', (_request, reply) => reply.type('application/json').send(description));
  serveEvents(server, deps);
  servePlain(server, deps);
  return server;
}

type Handler = (call: Call<RouteName>) => Promise<unknown>;

function register(server: FastifyInstance, deps: ServerDeps, calls: InFlight, route: Route, handler: Handler): void {
  server.route({
    method: route.method,
    url: route.path,
    handler: async (request, reply) => {
      const answered = await answer(deps, calls, route, handler, request, goneSignal(reply.raw)).catch((error: unknown) => asProblem(deps, error));
      return reply.status(answered.status).type(answered.status >= 400 ? 'application/problem+json' : 'application/json').send(answered.payload);
    },
  });
}

async function answer(deps: ServerDeps, calls: InFlight, route: Route, handler: Handler, request: FastifyRequest, signal: AbortSignal): Promise<Answered> {
  const address = deps.clientAddress.of(request.socket.remoteAddress ?? '', request.raw.headersDistinct['x-forwarded-for']);
  const bytes = request.body instanceof Uint8Array ? request.body : null;
  const isPublic = route.access === 'public';
  if (isPublic && !deps.rateLimit.allow(`ip ${originOf(address)}`, 'public')) throw new Refusal('rate_limited', 'too many calls from this address', { hint: 'Wait a minute.' });
  const actor = isPublic ? null : await authenticate(deps, request, bytes, address);
  if (actor && !deps.rateLimit.allow(actor.id, 'signed_in')) throw new Refusal('rate_limited', 'too many calls', { hint: 'Wait a few seconds.' });
  if (actor) await checkAccess(deps.app, actor, route.access);

  const call = {
    actor: actor as Actor,
    params: readInput(route.params, request.params, 'params'),
    query: readInput(route.query, request.query, 'query'),
    body: route.body ? readInput(route.body, parseStrictJson(bytes?.toString() ?? 'null'), 'body') : undefined,
    clientAddress: address,
    signal,
  } as Call<RouteName>;
  const run = async (): Promise<Answered> => {
    try {
      const made = await handler(call);
      return { status: 200, payload: JSON.stringify(route.answer.parse(made)) };
    } catch (error) {
      return asProblem(deps, error);
    }
  };
  const key = request.headers['idempotency-key'];
  const leave = actor ? calls.enter(actor.id) : () => undefined;
  if (!leave) throw new Refusal('rate_limited', `you have ${MOST_CALLS} calls under way already`, { hint: 'Wait for their answers.' });
  try {
    return actor && route.method !== 'GET' && typeof key === 'string' ? await once(deps, actor, key, `${route.method} ${request.raw.url}`, bytes, run) : await run();
  } finally {
    leave();
  }
}

/** What the framework refuses before a handler runs, in our words. */
function fromFastify(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Refusal('payload_too_large', `a body holds at most ${LARGEST_BODY} bytes`);
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Refusal('invalid_input', 'the body has to be application/json');
  if (typeof code === 'string' && code.startsWith('FST_ERR_CTP')) return new Refusal('invalid_input', 'the body could not be read');
  return error;
}
