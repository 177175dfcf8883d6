/**
 * A small real HTTP server that speaks the API contract, for tests of its clients: it refuses what the contract refuses,
 * checks every signature, and answers what the test tells it to, held to the contract as well.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ProblemCode } from '#contract/problem.ts';
import { bodyMatches, readSignature } from '#contract/request-signature.ts';
import { type Answer, ROUTES, type Route, type RouteName } from '#contract/routes.ts';

export interface Call {
  readonly route: RouteName;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly keyId: string | null;
  readonly idempotencyKey: string | null;
  /** How often this route was called before. */
  readonly before: number;
}

/** What was sent, read as what the test expects it to be. */
export function sent<T>(call: Call | undefined): T {
  return (call?.body ?? {}) as T;
}

/** A refusal to answer with; throw it from a handler. */
export class Refused extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly hint: string | undefined;
  constructor(status: number, code: ProblemCode, detail: string, hint?: string) {
    super(detail);
    this.code = code;
    this.status = status;
    this.hint = hint;
  }
}

export type Handlers = { [N in RouteName]?: (call: Call) => Answer<N> | Promise<Answer<N>> };

export class ApiDouble implements AsyncDisposable {
  readonly calls: Call[] = [];
  readonly handlers: Handlers;
  readonly keys = new Map<string, KeyObject>();
  /** What the double itself found wrong, such as an answer that breaks the contract; tests expect none. */
  readonly complaints: string[] = [];
  /** Answers before anything is looked at; true when it did. For proxies, redirects, outages. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | null = null;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #nonces = new Set<string>();

  private constructor(handlers: Handlers) {
    this.handlers = handlers;
  }

  static async start(handlers: Handlers = {}): Promise<ApiDouble> {
    const double = new ApiDouble(handlers);
    double.#server.listen(0, '127.0.0.1');
    await once(double.#server, 'listening');
    return double;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  enrol(keyId: string, publicKeyPem: string): void {
    this.keys.set(keyId, createPublicKey(publicKeyPem));
  }

  called(route: RouteName): Call[] {
    return this.calls.filter((call) => call.route === route);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.intercept?.(request, response)) return;
    const reply = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
      response.end(JSON.stringify(value));
    };
    try {
      reply(200, await this.#answer(request, Buffer.concat(chunks)));
    } catch (error) {
      if (!(error instanceof Refused)) this.complaints.push(String(error));
      const { status, code, message, hint } = error instanceof Refused ? error : { status: 500, code: 'internal', message: String(error), hint: undefined };
      reply(status, { type: `https://brevet.dev/problems/${code}`, title: code, status, code, detail: message, ...(hint === undefined ? {} : { hint }) });
    }
  }

  async #answer(request: IncomingMessage, body: Buffer): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const found = match(request.method ?? '', pathname);
    if (!found) throw new Refused(404, 'not_found', `no route ${request.method} ${pathname}`);
    const route: Route = ROUTES[found.name];
    const keyId = this.#authenticate(request, body);
    if (route.access !== 'public' && keyId === null) throw new Refused(401, 'unauthenticated', 'the request is not signed');
    if (body.length > 0 && request.headers['content-type'] !== 'application/json') throw new Refused(415, 'invalid_input', 'not JSON');
    const parsed = {
      params: check(route.params, found.params) as Call['params'],
      query: check(route.query, Object.fromEntries(searchParams)) as Call['query'],
      body: check(route.body, body.length === 0 ? undefined : JSON.parse(body.toString())),
    };
    const idempotencyKey = (request.headers['idempotency-key'] as string | undefined) ?? null;
    const call: Call = { route: found.name, ...parsed, keyId, idempotencyKey, before: this.called(found.name).length };
    this.calls.push(call);
    const handler = this.handlers[found.name] as ((call: Call) => unknown) | undefined;
    if (!handler) throw new Refused(404, 'not_found', `the test answers nothing for ${found.name}`);
    const answer = await handler(call);
    const checked = route.answer.safeParse(answer);
    if (!checked.success) this.complaints.push(`${found.name}: ${checked.error.message}`);
    return answer;
  }

  #authenticate(request: IncomingMessage, body: Buffer): string | null {
    if (request.headers['signature'] === undefined) return null;
    const result = readSignature({ method: request.method ?? '', authority: request.headers.host ?? '', target: request.url ?? '', headers: request.headersDistinct });
    if ('wrong' in result) throw new Refused(401, 'unauthenticated', result.wrong);
    const { keyId, nonce, created, base, signature, contentDigest } = result.read;
    const key = this.keys.get(keyId);
    if (!key || !verify(null, base, key, signature)) throw new Refused(401, 'unauthenticated', 'the signature is not by a known key');
    if (!bodyMatches(contentDigest, body)) throw new Refused(401, 'unauthenticated', 'the body is not the one that was signed');
    if (this.#nonces.has(nonce)) throw new Refused(401, 'unauthenticated', 'a nonce was used twice');
    if (Math.abs(Date.now() / 1000 - created) > 60) throw new Refused(401, 'unauthenticated', 'the signature is stale');
    this.#nonces.add(nonce);
    return keyId;
  }
}

function check(schema: Route['body'], value: unknown): unknown {
  if (!schema) {
    if (value !== undefined && Object.keys(value as object).length > 0) throw new Refused(400, 'invalid_input', 'more than the route takes');
    return value;
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new Refused(400, 'invalid_input', result.error.issues.map((issue) => `${issue.path.join('/')}: ${issue.message}`).join('; '));
  return result.data;
}

function match(method: string, pathname: string): { name: RouteName; params: Record<string, string> } | null {
  const parts = pathname.split('/');
  // Literal segments go before parameters: /sessions/end is not a session called "end".
  const names = (Object.keys(ROUTES) as RouteName[]).sort((a, b) => Number(ROUTES[a].path.includes(':')) - Number(ROUTES[b].path.includes(':')));
  for (const name of names) {
    const pattern = ROUTES[name].path.split('/');
    if (ROUTES[name].method !== method || pattern.length !== parts.length) continue;
    if (!pattern.every((each, i) => each.startsWith(':') || each === parts[i])) continue;
    return { name, params: Object.fromEntries(pattern.flatMap((each, i) => (each.startsWith(':') ? [[each.slice(1), decodeURIComponent(parts[i] ?? '')]] : []))) };
  }
  return null;
}
