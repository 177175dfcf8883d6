import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { readSignature, signatureBase, signRequest, type HttpMessage } from '#contract/request-signature.ts';
import { Refusal } from '#domain/refusal.ts';
import { checkBody, verifyRequest, type SignatureCheck } from './request-signature.ts';

interface Vector extends HttpMessage {
  readonly name: string;
  readonly body: string | null;
}
interface ValidVector extends Vector {
  readonly key: string;
  readonly created: number;
  readonly nonce: string;
  readonly added: Record<string, string>;
  readonly written?: 'otherwise';
}
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../test/vectors/request-signature/${name}.json`, import.meta.url), 'utf8'));
const VALID = read('valid') as { keys: Record<string, { seed: string; publicKey: string }>; vectors: ValidVector[] };
const INVALID = read('invalid') as { now: number; authorities: string[]; vectors: Vector[] };

const privateKey = (id: string) =>
  createPrivateKey({ key: Buffer.from(`302e020100300506032b657004220420${VALID.keys[id]?.seed}`, 'hex'), format: 'der', type: 'pkcs8' });
const check = (change: Partial<SignatureCheck> = {}): SignatureCheck => ({
  now: new Date(INVALID.now * 1000),
  authorities: INVALID.authorities,
  publicKeyOf: async (id) => VALID.keys[id]?.publicKey ?? null,
  ...change,
});
const isUnauthenticated = (error: unknown) => error instanceof Refusal && error.code === 'unauthenticated';
const signed = (vector: ValidVector): HttpMessage => ({ ...vector, headers: { ...vector.headers, ...vector.added } });

for (const vector of VALID.vectors) {
  test(`vector, verifies: ${vector.name}`, async () => {
    const body = vector.body === null ? null : Buffer.from(vector.body);
    if (!vector.written) {
      const fresh = { created: vector.created, nonce: Buffer.from(vector.nonce, 'hex') };
      assert.deepEqual(signRequest(vector, body, { keyId: vector.key, privateKey: privateKey(vector.key) }, fresh), vector.added);
    }
    const verified = await verifyRequest(signed(vector), check());
    checkBody(verified, body ?? Buffer.alloc(0));
    assert.equal(verified.keyId, vector.key);
    assert.equal(Buffer.from(verified.nonce, 'base64url').toString('hex'), vector.nonce);
    assert.equal(verified.created.getTime(), vector.created * 1000);
  });
}

for (const vector of INVALID.vectors) {
  test(`vector, must not verify: ${vector.name}`, async () => {
    await assert.rejects(async () => checkBody(await verifyRequest(vector, check()), Buffer.from(vector.body ?? '')), isUnauthenticated);
  });
}

const GET = signed(VALID.vectors[0] as ValidVector);

test('the window is a minute either way, to the millisecond, and says whose clock is wrong', async () => {
  const at = (ms: number) => verifyRequest(GET, check({ now: new Date(INVALID.now * 1000 + ms) }));
  await at(60_000);
  await at(-60_000);
  await assert.rejects(at(60_001), /60 s behind/);
  await assert.rejects(at(-60_001), /60 s ahead/);
  await assert.rejects(at(86_400_000), isUnauthenticated);
});

test('E03: a key of another type, stored by mistake, verifies nothing', async () => {
  const others = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ec', { namedCurve: 'P-256' }), generateKeyPairSync('ed448')];
  for (const { publicKey } of others) {
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    await assert.rejects(verifyRequest(GET, check({ publicKeyOf: async () => pem })), isUnauthenticated);
  }
  // An RSA key so short that its signatures have the right length, and a signature by it that is right.
  const rsa = generateKeyPairSync('rsa', { modulusLength: 512 });
  const result = readSignature(GET);
  assert.ok('read' in result);
  const headers = { ...GET.headers, signature: `brevet=:${sign(null, result.read.base, rsa.privateKey).toString('base64')}:` };
  const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  await assert.rejects(verifyRequest({ ...GET, headers }, check({ publicKeyOf: async () => pem })), isUnauthenticated);
});

test('what the profile does not allow is refused even when the signature over it is right', async () => {
  const components = '("@method" "@authority" "@path" "@query")';
  const nonce = 'ABEiM0RVZneImaq7zN3u_w';
  const params = `${components};created=${INVALID.now};nonce="${nonce}";keyid="key_alpha";alg="ed25519";tag="brevet"`;
  const values: Record<string, string> = { '@method': 'GET', '@authority': GET.authority, '@path': GET.target, '@query': '?' };
  const attempt = (changed: string) => {
    const names = [...changed.slice(0, changed.indexOf(')')).matchAll(/"([^"]+)"/g)].map(([, name = '']) => name);
    const base = signatureBase(names.map((name) => [name, values[name] ?? '']), changed);
    const signature = sign(null, base, privateKey('key_alpha')).toString('base64');
    return verifyRequest({ ...GET, headers: { 'signature-input': `brevet=${changed}`, signature: `brevet=:${signature}:` } }, check());
  };
  assert.equal((await attempt(params)).keyId, 'key_alpha', 'the signatures made here are right');
  const changes: [from: string, to: string][] = [
    ['"ed25519"', '"none"'], ['"ed25519"', '"hmac-sha256"'], [';alg="ed25519"', ''], ['"brevet"', '"other"'], [';tag="brevet"', ''],
    ['"ed25519"', '"ed25519";alg="none"'], [`created=${INVALID.now}`, `created=1;created=${INVALID.now}`], [`;created=${INVALID.now}`, ''],
    ['tag="brevet"', 'tag="brevet";expires=1'], [`nonce="${nonce}"`, 'nonce="short"'], [`;nonce="${nonce}"`, ''], [';keyid="key_alpha"', ''],
    [' "@query"', ''], ['"@method" ', ''], ['"@path"', '"@path" "@path"'], ['"@path"', '"@target-uri"'], ['"@query"', '"@query" "x-other"'],
    [`created=${INVALID.now}`, `created="${INVALID.now}"`], [`created=${INVALID.now}`, `created=0${INVALID.now}`],
  ];
  for (const [from, to] of changes) {
    assert.ok(params.includes(from), from);
    await assert.rejects(attempt(params.replace(from, to)), isUnauthenticated, `${from} -> ${to}`);
  }
});

test("a request signed for another server, relayed to this one with that server's name, is refused", async () => {
  await assert.rejects(verifyRequest(GET, check({ authorities: ['honest.example'] })), /another host/);
});

test('every byte of both headers counts', async () => {
  for (const name of ['signature', 'signature-input'] as const) {
    const text = String(GET.headers[name]);
    for (let at = 0; at < text.length; at++) {
      for (const other of ['A', 'b', '0', '"', ' ', ';']) {
        if (text[at] === other) continue;
        const headers = { ...GET.headers, [name]: text.slice(0, at) + other + text.slice(at + 1) };
        await assert.rejects(verifyRequest({ ...GET, headers }, check()), isUnauthenticated, `${name}, character ${at}: ${other}`);
      }
    }
  }
});

test('a real HTTP server and client: fetch is verified, a header repeated on the wire is noticed', async () => {
  const outcomes: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const message = { method: request.method ?? '', authority: request.headers.host ?? '', target: request.url ?? '', headers: request.headersDistinct };
    const outcome = await verifyRequest(message, check({ authorities: [authority] }))
      .then((verified) => checkBody(verified, Buffer.concat(chunks)))
      .then(() => 'verified', (error: Error) => error.message);
    outcomes.push(outcome);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const authority = `127.0.0.1:${(server.address() as { port: number }).port}`;
  try {
    const url = new URL(`http://${authority}/api/v1/targets/café?q=a b`);
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'k1' };
    const body = Buffer.from('{"reason":"ok"}');
    const message = { method: 'POST', authority: url.host, target: url.pathname + url.search, headers };
    const added = signRequest(message, body, { keyId: 'key_alpha', privateKey: privateKey('key_alpha') }, { created: INVALID.now, nonce: new Uint8Array(16) });
    await fetch(url, { method: 'POST', headers: { ...headers, ...added }, body });

    const raw = (extra: string) => {
      const lines = Object.entries({ host: authority, ...headers, ...added, 'content-length': body.length, connection: 'close' }).map(([name, value]) => `${name}: ${value}`);
      return `POST ${message.target} HTTP/1.1\r\n${extra}${lines.join('\r\n')}\r\n\r\n${body.toString()}`;
    };
    for (const extra of ['', 'Content-Type: text/plain\r\n', 'Idempotency-Key: k1\r\n', 'Signature: x\r\n', 'If-Match: "1"\r\n']) {
      const socket = connect(Number(url.port), '127.0.0.1').setEncoding('utf8');
      socket.end(raw(extra));
      for await (const chunk of socket) assert.match(chunk as string, /200 OK/);
    }
    assert.deepEqual(outcomes.map((outcome) => outcome === 'verified'), [true, true, false, false, false, false], outcomes.join('; '));
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
