import type { FastifyRequest } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { authenticateKey, findKey } from '#app/signin/authenticate-key.ts';
import { isId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { contentDigest } from '#contract/request-signature.ts';
import type { ServerDeps } from './deps.ts';

/**
 * Who sends this request: every one is signed with an enrolled key (RFC 9421), over its method, path, query and body.
 * There is no bearer token that could leak. @throws Refusal `unauthenticated`
 */
export async function authenticate(deps: ServerDeps, request: FastifyRequest, body: Uint8Array | null, clientAddress: string): Promise<Actor> {
  const { raw } = request;
  const now = await deps.app.store.transaction(async (tx) => tx.now);
  const head = await deps.verifyRequest(
    { method: raw.method ?? '', authority: raw.headers.host ?? '', target: raw.url ?? '', headers: raw.headersDistinct },
    now,
    async (keyId) => (isId('key', keyId) ? ((await findKey(deps.app, keyId))?.key.publicKey ?? null) : null),
  );
  const empty = body === null || body.length === 0;
  if (head.contentDigest === null ? !empty : empty || head.contentDigest !== contentDigest(body)) {
    throw new Refusal('unauthenticated', 'the body is not the one that was signed');
  }
  const changes = raw.method !== 'GET';
  return await authenticateKey(deps.app, head.keyId as `key_${string}`, head.nonce, changes, clientAddress);
}
