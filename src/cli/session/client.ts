/** The HTTP client: one call for each route of the contract, signed, bounded in time, never redirected. */
import type { Answer, BodyIn, Params, QueryIn, RouteName } from '#contract/routes.ts';
import type { Problem } from '#contract/problem.ts';
import { signRequest } from '#contract/request-signature.ts';
import { ADDRESSES } from '../addresses.ts';
import type { CliDeps } from '../deps.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure, exitOfStatus, failureOf } from '../failure.ts';
import type { SignedInProfile } from './profile.ts';

type Given<K extends string, V> = [V] extends [undefined] ? { readonly [P in K]?: never } : object extends V ? { readonly [P in K]?: V } : { readonly [P in K]: V };
export type CallInput<N extends RouteName> = Given<'params', Params<N>> & Given<'query', QueryIn<N>> & Given<'body', BodyIn<N>>;

const TIMEOUT_MS = 20_000;
const LARGEST_ANSWER = 256 * 1024 * 1024;
/** Before the second and the third attempt. */
const PAUSES_MS = [200, 800];
/** Refused or unresolved addresses do not heal in a second: told at once. */
const HOPELESS = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ERR_INVALID_URL', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID']);

interface Attempt {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array | null;
  readonly idempotencyKey: string | null;
  readonly timeoutMs: number;
}

type Outcome = { readonly answer: unknown } | { readonly failure: Failure; readonly retry: boolean; readonly afterMs?: number };

export class Client {
  readonly server: string;
  readonly #deps: CliDeps;
  readonly #profile: SignedInProfile | null;
  /** How far the server's clock is ahead, in milliseconds; within a second it counts as equal. */
  #skewMs = 0;

  readonly #interrupted: AbortSignal;

  /**
   * @param server an origin that `readServer` has accepted
   * @param interrupted ends what is under way
   */
  constructor(server: string, profile: SignedInProfile | null, deps: CliDeps, interrupted: AbortSignal) {
    this.server = server;
    this.#profile = profile;
    this.#deps = deps;
    this.#interrupted = interrupted;
  }

  /** The moment as the server sees it: deadlines are counted by its clock. */
  now(): Date {
    return new Date(this.#deps.now().getTime() + this.#skewMs);
  }

  /** @throws Failure, always one that says what to do next */
  async call<N extends RouteName>(name: N, ...[input]: object extends CallInput<N> ? [input?: CallInput<N>] : [input: CallInput<N>]): Promise<Answer<N>> {
    const given = input as { params?: Record<string, string>; query?: Record<string, unknown>; body?: unknown } | undefined;
    const [method = '', pattern = ''] = ADDRESSES[name].split(' ');
    const signIn = name === 'signInByLink' || name === 'signInByPassword';
    const waits = Number(given?.query?.['waitSeconds'] ?? 0) * 1000;
    const attempt: Attempt = {
      method,
      target: fill(pattern, given?.params ?? {}) + queryOf(given?.query ?? {}),
      body: given?.body === undefined ? null : Buffer.from(JSON.stringify(given.body)),
      idempotencyKey: method === 'POST' && !signIn ? Buffer.from(this.#deps.randomBytes(18)).toString('base64url') : null,
      timeoutMs: TIMEOUT_MS + waits,
    };
    // A sign-in spends its link: the second attempt could only hear that it is spent.
    for (let tries = 0; ; tries++) {
      const outcome = await this.#exchange(attempt, signIn ? null : this.#profile, (response, bytes) => this.#read(response, bytes));
      if ('answer' in outcome) return outcome.answer as Answer<N>;
      const pause = PAUSES_MS[tries];
      if (!outcome.retry || signIn || pause === undefined) throw outcome.failure;
      await this.#deps.sleep(outcome.afterMs ?? pause);
    }
  }

  /** A static file of the server; null where there is none. Waits when it is asked to go slower. @throws Failure */
  async file(path: string): Promise<Uint8Array | null> {
    const attempt: Attempt = { method: 'GET', target: path, body: null, idempotencyKey: null, timeoutMs: TIMEOUT_MS };
    for (let tries = 0; ; tries++) {
      const outcome = await this.#exchange(attempt, this.#profile, (response, bytes) => {
        if (response.ok) return { answer: bytes };
        return response.status === 404 ? { answer: null } : this.#read(response, bytes);
      });
      if ('answer' in outcome) return outcome.answer as Uint8Array | null;
      const slower = outcome.failure.exit === EXIT.limited && tries < 60;
      if (!slower && (!outcome.retry || tries >= PAUSES_MS.length)) throw outcome.failure;
      await this.#deps.sleep(outcome.afterMs ?? PAUSES_MS[tries] ?? 1000);
    }
  }

  async #exchange({ method, target, body, idempotencyKey, timeoutMs }: Attempt, profile: SignedInProfile | null, read: (response: Response, bytes: Buffer) => Outcome): Promise<Outcome> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (body) headers['content-type'] = 'application/json';
    if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
    if (profile) {
      const fresh = { created: Math.floor(this.#deps.now().getTime() / 1000), nonce: this.#deps.randomBytes(24) };
      Object.assign(headers, signRequest({ method, authority: new URL(this.server).host, target, headers }, body, profile, fresh));
    }
    try {
      const response = await fetch(this.server + target, { method, headers, body, redirect: 'manual', signal: AbortSignal.any([this.#interrupted, AbortSignal.timeout(timeoutMs)]) });
      this.#noteClock(response.headers.get('date'));
      return read(response, await readBody(response));
    } catch (error) {
      return error instanceof Failure ? { failure: error, retry: false } : this.#unreachable(error, timeoutMs);
    }
  }

  #read(response: Response, bytes: Buffer): Outcome {
    if (response.status >= 300 && response.status < 400) {
      return { failure: new Failure(EXIT.unavailable, `${this.server} redirects elsewhere; Brevet never does, so this is not followed`, 'Check the address.'), retry: false };
    }
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch {
      value = undefined;
    }
    const retry = response.status === 502 || response.status === 503 || response.status === 504;
    const after = Number(response.headers.get('retry-after'));
    const later = after > 0 && after <= 5 ? { afterMs: after * 1000 } : {};
    if (typeof value !== 'object' || value === null) {
      return { failure: new Failure(response.ok ? EXIT.unavailable : exitOfStatus(response.status), `${this.server} did not answer as Brevet does (HTTP ${response.status})`, 'Check the address, and what stands between.'), retry, ...later };
    }
    if (response.ok) return { answer: value };
    const problem = { code: 'internal', title: '', detail: `HTTP ${response.status}`, type: 'about:blank', ...value, status: response.status } as Problem;
    return { failure: this.#withClockHint(failureOf(problem)), retry, ...later };
  }

  #unreachable(error: unknown, timeoutMs: number): Outcome {
    if (this.#interrupted.aborted) return { failure: new Failure(EXIT.interrupted, 'stopped'), retry: false };
    const cause = (error as { cause?: { code?: unknown; errors?: readonly { code?: unknown }[] } }).cause;
    const code = String(cause?.code ?? cause?.errors?.[0]?.code ?? (error as { name?: unknown }).name ?? 'unknown');
    if (code === 'TimeoutError') return { failure: new Failure(EXIT.unavailable, `${this.server} did not answer within ${timeoutMs / 1000} s`), retry: false };
    const local = isLoopback(new URL(this.server).hostname);
    const hint = code === 'ECONNREFUSED' && local ? 'Is Brevet running? Start it with: npm start' : 'Check the address and the network; see brevet doctor.';
    return { failure: new Failure(EXIT.unavailable, `${this.server} can not be reached (${code})`, hint), retry: !HOPELESS.has(code) };
  }

  /** A wrong clock makes every signature wrong; better to say so than to let people look for a key. */
  #withClockHint(failure: Failure): Failure {
    const seconds = Math.abs(Math.round(this.#skewMs / 1000));
    if (failure.exit !== EXIT.unauthenticated || seconds < 30) return failure;
    return new Failure(failure.exit, failure.message, `This machine's clock is ${seconds} s ${this.#skewMs > 0 ? 'behind' : 'ahead of'} the server's: set it right.`, failure.problem);
  }

  #noteClock(date: string | null): void {
    const theirs = Date.parse(date ?? '');
    if (Number.isNaN(theirs)) return;
    // The header has whole seconds: half a second is its mean error.
    const skew = theirs + 500 - this.#deps.now().getTime();
    this.#skewMs = Math.abs(skew) < 1500 ? 0 : skew;
  }

  get skewMs(): number {
    return this.#skewMs;
  }
}

/** Accepts the address of a server: an origin; without TLS only on this machine. @throws Failure */
export function readServer(text: string, insecureHttp: boolean): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Failure(EXIT.usage, `"${text}" is not the address of a server`, 'Write it like https://brevet.example or http://127.0.0.1:8484.');
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username || url.password) {
    throw new Failure(EXIT.usage, `${url.protocol}//${url.host} is not an address that Brevet is served at`, 'It begins with https:// and holds no user name.');
  }
  if (url.protocol === 'http:' && !insecureHttp && !isLoopback(url.hostname)) {
    throw new Failure(EXIT.usage, `${url.host} would be spoken to without TLS: anybody between could read along`, 'Use https://, or --insecure-http in a network that you trust.');
  }
  return url.origin;
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function fill(pattern: string, params: Record<string, string>): string {
  return pattern.replace(/:(\w+)/g, (_, key: string) => {
    const value = params[key] ?? '';
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value)) throw new Failure(EXIT.usage, `"${value}" is not ${key === 'id' ? 'an id' : 'a name'}`);
    return value;
  });
}

function queryOf(query: Record<string, unknown>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]))}`;
}

async function readBody(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new Failure(EXIT.unavailable, 'the answer is larger than 256 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
