import type { FastifyRequest } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { authenticateKey, findKey } from '#app/signin/authenticate-key.ts';
import { isId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { contentDigest } from '#contract/request-signature.ts';
import type { ServerDeps } from './deps.ts';

/**
 * Who sends this request: every one is signed with an enrolled key (RFC 9421), over its method, path, query and body.
 * There is no bearer token that could leak. `spend`: whether the signature is good only once; for a read it need not be,
 * for a stream, which goes on and on, it must. @throws Refusal `unauthenticated`
 */
export async function authenticate(deps: ServerDeps, request: FastifyRequest, body: Uint8Array | null, clientAddress: string, spend = request.raw.method !== 'GET'): Promise<Actor> {
  const { raw } = request;
  const message = { method: raw.method ?? '', authority: raw.headers.host ?? '', target: raw.url ?? '', headers: raw.headersDistinct };
  // The time and the key in one transaction: every call pays for it.
  const head = await deps.app.store.transaction((tx) =>
    deps.verifyRequest(message, tx.now, async (keyId) => (isId('key', keyId) ? ((await findKey(tx, keyId))?.publicKey ?? null) : null)));
  const empty = body === null || body.length === 0;
  if (head.contentDigest === null ? !empty : empty || head.contentDigest !== contentDigest(body)) {
    throw new Refusal('unauthenticated', 'the body is not the one that was signed');
  }
  return await authenticateKey(deps.app, head.keyId as `key_${string}`, head.nonce, spend, clientAddress);
}
