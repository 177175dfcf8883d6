/**
 * How the command line and workloads prove who sends a request: HTTP Message Signatures (RFC 9421) with Ed25519, in a
 * profile with nothing to choose. Both sides share this file. There is one signature, labelled `brevet`; it covers
 * - `@method`, `@authority`, `@path`, `@query`, and
 * - each of COVERED_HEADERS that the request has; `content-digest` (RFC 9530, sha-256) whenever there is a body;
 * and has the parameters `created` (seconds), `nonce`, `keyid`, `alg="ed25519"`, `tag="brevet"`: all of them, once, no
 * others. Components and parameters may stand in any order; white space is as RFC 9421 serialises it, and no other.
 *
 * The path is signed as it stands on the request line. Paths that two programs could read differently are refused
 * before anything is verified.
 */
import { createHash, sign, type KeyObject } from 'node:crypto';

const LABEL = 'brevet';
const DERIVED = ['@method', '@authority', '@path', '@query'] as const;
/** Headers that change what a request means: covered whenever they are present. */
export const COVERED_HEADERS = ['content-digest', 'content-type', 'idempotency-key', 'if-match'] as const;
/** Seconds that `created` may be away from the server's clock, either way. */
export const SIGNATURE_WINDOW = 60;

/** A request as it is on the wire. */
export interface HttpMessage {
  readonly method: string;
  /** The Host header: `brevet.example:8443`, without the port if it is the scheme's own. */
  readonly authority: string;
  /** Path and query as on the request line: `/api/v1/requests?state=pending`. */
  readonly target: string;
  /**
   * By lower-case name. On Node's server hand in `headersDistinct`: `headers` joins or drops repeated ones before
   * anybody can notice.
   */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface RequestSignature {
  readonly keyId: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly nonce: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** The bytes that were signed. */
  readonly base: Uint8Array;
  /** The digest that the body must have, for `bodyMatches`; `null` when there must be no body. */
  readonly contentDigest: string | null;
}

export type ReadSignature = { readonly read: RequestSignature } | { readonly wrong: string };

export interface SigningKey {
  readonly keyId: string;
  /** Ed25519. */
  readonly privateKey: KeyObject;
}

export interface Freshness {
  /** Seconds since 1970. */
  readonly created: number;
  /** 16 to 64 random bytes that this key never signed with before. */
  readonly nonce: Uint8Array;
}

/**
 * Signs a request and answers the headers to add to it. The content type and the other covered headers must be in
 * `message.headers` already, exactly as they will be sent.
 * @throws RangeError for a request that no server would accept
 */
export function signRequest(message: HttpMessage, body: Uint8Array | null, key: SigningKey, fresh: Freshness): Record<string, string> {
  if (key.privateKey.asymmetricKeyType !== 'ed25519') throw new RangeError('requests are signed with an Ed25519 key');
  const digest = body && body.length > 0 ? { 'content-digest': contentDigest(body) } : {};
  const whole = { ...message, headers: { ...message.headers, ...digest } };
  const components = componentsOf(whole);
  const params =
    `(${components.map((name) => `"${name}"`).join(' ')});created=${fresh.created};nonce="${Buffer.from(fresh.nonce).toString('base64url')}"` +
    `;keyid="${key.keyId}";alg="ed25519";tag="brevet"`;
  const made = readParams(`${LABEL}=${params}`);
  const values = valuesOf(whole, components);
  if ('wrong' in made) throw new RangeError(made.wrong);
  if ('wrong' in values) throw new RangeError(values.wrong);
  const signature = sign(null, signatureBase(values.lines, params), key.privateKey).toString('base64');
  return { ...digest, 'signature-input': `${LABEL}=${params}`, signature: `${LABEL}=:${signature}:` };
}

/** Reads the signature of a received request, without judging it: no key, no clock. Every doubt makes it `wrong`. */
export function readSignature(message: HttpMessage): ReadSignature {
  const [input, header] = [oneValue(message, 'signature-input'), oneValue(message, 'signature')];
  if (input === null || header === null) return { wrong: 'the request is not signed, or signed more than once' };
  const params = readParams(input);
  if ('wrong' in params) return params;
  const signature = readBytes(header, LABEL);
  if (signature?.length !== 64) return { wrong: 'the signature is not 64 bytes in base64' };
  const expected = componentsOf(message);
  if (params.components.length !== expected.length || expected.some((name) => !params.components.includes(name))) {
    return { wrong: `the signature has to cover exactly ${expected.join(', ')}` };
  }
  const values = valuesOf(message, params.components);
  if ('wrong' in values) return values;
  const { keyId, created, nonce } = params;
  const digest = oneValue(message, 'content-digest');
  return { read: { keyId, created, nonce, signature, contentDigest: digest, base: signatureBase(values.lines, input.slice(LABEL.length + 1)) } };
}

/** Whether a received body is the one that was signed. A body without a digest never is. */
export function bodyMatches(digest: string | null, body: Uint8Array): boolean {
  return digest === null ? body.length === 0 : digest === contentDigest(body);
}

/** RFC 9530, sha-256 only. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

/** The signature base of RFC 9421 section 2.5: `lines` are component names with their values, `params` as serialised. */
export function signatureBase(lines: readonly (readonly [name: string, value: string])[], params: string): Uint8Array {
  return Buffer.from([...lines, ['@signature-params', params] as const].map(([name, value]) => `"${name}": ${value}`).join('\n'));
}

/**
 * What is wrong with a request target that two programs might read differently (attack F04), or `null`. One spelling
 * for each path: no empty or dot segments, no backslash, nothing percent-encoded that needs no encoding or hides a
 * separator, upper-case hexadecimal digits.
 */
export function targetProblem(target: string): string | null {
  const [path = '', ...rest] = target.split('?');
  if (!/^\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2}|\/)*$/.test(path)) return 'the path holds a character that does not belong there';
  if (/%(?:2[5DEF]|3[0-9B]|[46][1-9A-F]|[57][0-9A]|5[CF]|7E|0|1|7F)/.test(path)) return 'the path has an escape that another program may undo';
  if (path.split('/').some((segment, i, all) => segment === '.' || segment === '..' || (segment === '' && i > 0 && all.length > 2))) {
    return 'the path has an empty or a dot segment';
  }
  if (!/^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/.test(rest.join('?'))) return 'the query holds a character that does not belong there';
  return null;
}

/** The components that this message must have signed. */
function componentsOf(message: HttpMessage): string[] {
  return [...DERIVED, ...COVERED_HEADERS.filter((name) => message.headers[name] !== undefined)];
}

function valuesOf(message: HttpMessage, components: readonly string[]): { lines: (readonly [string, string])[] } | { wrong: string } {
  const problem = targetProblem(message.target);
  if (problem) return { wrong: problem };
  if (!/^[A-Z]{1,16}$/.test(message.method)) return { wrong: 'the method is not in capital letters' };
  if (!/^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[1-9]\d{0,4})?$/.test(message.authority)) return { wrong: 'the host is not in lower-case letters, or malformed' };
  const mark = message.target.indexOf('?');
  const derived: Readonly<Record<string, string>> = {
    '@method': message.method,
    '@authority': message.authority,
    '@path': mark < 0 ? message.target : message.target.slice(0, mark),
    '@query': mark < 0 ? '?' : message.target.slice(mark),
  };
  const lines: (readonly [string, string])[] = [];
  for (const name of components) {
    const value = derived[name] ?? oneValue(message, name);
    if (value === null) return { wrong: `the header ${name} is there more than once, or malformed` };
    lines.push([name, value]);
  }
  return { lines };
}

/** A header's value if it is there once and holds nothing but printable ASCII. */
function oneValue(message: HttpMessage, name: string): string | null {
  const given = message.headers[name];
  const values = typeof given === 'string' ? [given] : (given ?? []);
  const [value] = values;
  return values.length === 1 && value !== undefined && /^[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?$/.test(value) ? value : null;
}

interface Params {
  readonly components: readonly string[];
  readonly keyId: string;
  readonly created: number;
  readonly nonce: string;
}

const INPUT = /^brevet=\(("[a-z@-]{1,32}"(?: "[a-z@-]{1,32}")*)\)((?:;[a-z]{1,16}=(?:\d{1,11}|"[\x20\x21\x23-\x5b\x5d-\x7e]{0,128}"))*)$/;
const PARAM_FORMS: Readonly<Record<string, RegExp>> = {
  created: /^[1-9]\d{0,10}$/,
  nonce: /^"[A-Za-z0-9_-]{22,86}"$/, // 16 to 64 bytes in base64url
  keyid: /^"[A-Za-z0-9_.:-]{1,128}"$/,
  alg: /^"ed25519"$/,
  tag: /^"brevet"$/,
};

/** The subset of structured fields (RFC 9651) that one signature's input is written in. */
function readParams(input: string): Params | { wrong: string } {
  const match = INPUT.exec(input);
  if (!match) return { wrong: 'signature-input is malformed, or holds other signatures' };
  const components = (match[1] as string).split(' ').map((quoted) => quoted.slice(1, -1));
  const given = [...(match[2] as string).matchAll(/;([a-z]+)=(\d+|"[^"]*")/g)].map(([, name = '', value = '']) => [name, value] as const);
  const params = new Map(given);
  if (new Set(components).size !== components.length || params.size !== given.length) return { wrong: 'signature-input says something twice' };
  const names = Object.keys(PARAM_FORMS);
  if (params.size !== names.length) return { wrong: `signature-input has the parameters ${names.join(', ')}, and no others` };
  for (const name of names) {
    if (!PARAM_FORMS[name]?.test(params.get(name) ?? '')) return { wrong: `the signature parameter ${name} is missing or not acceptable` };
  }
  const text = (name: string) => (params.get(name) as string).slice(1, -1);
  return { components, keyId: text('keyid'), nonce: text('nonce'), created: Number(params.get('created')) };
}

/** `label=:base64:` with no second spelling of the same bytes. */
function readBytes(header: string, label: string): Uint8Array | null {
  const match = /^([a-z]+)=:([A-Za-z0-9+/]+={0,2}):$/.exec(header);
  if (match?.[1] !== label) return null;
  const bytes = Buffer.from(match[2] as string, 'base64');
  return bytes.toString('base64') === match[2] ? bytes : null;
}
