import type { FastifyRequest } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { authenticateKey, findKey } from '#app/signin/authenticate-key.ts';
import { isId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { contentDigest, readSignature } from '#contract/request-signature.ts';
import type { ServerDeps } from './deps.ts';

/**
 * Who sends this request: every one is signed with an enrolled key (RFC 9421), over its method, path, query and body.
 * There is no bearer token that could leak. `spend`: whether the signature is good only once; for a read it need not be,
 * for a stream, which goes on and on, it must.
 *
 * In this order: the form, which costs nothing; the address's bound; the store. @throws Refusal `unauthenticated`, `rate_limited`
 */
export async function authenticate(deps: ServerDeps, request: FastifyRequest, body: Uint8Array | null, clientAddress: string, spend = request.raw.method !== 'GET'): Promise<Actor> {
  const { raw } = request;
  const message = { method: raw.method ?? '', authority: raw.headers.host ?? '', target: raw.url ?? '', headers: raw.headersDistinct };
  const form = readSignature(message);
  if ('wrong' in form) throw new Refusal('unauthenticated', form.wrong);
  const release = admit(deps, clientAddress);
  try {
    const actor = await prove(deps, message, body, clientAddress, spend);
    release();
    return actor;
  } catch (error) {
    // Only a failed proof counts: with the store down, honest callers are to hear that, and not that they are too many.
    if (!(error instanceof Refusal && error.code === 'unauthenticated')) release();
    throw error;
  }
}

/**
 * H01: whoever has proved nothing yet costs the store a transaction, so each address has so many of them, under way or
 * failed. A proof gives its place back. @throws Refusal `rate_limited`
 */
function admit({ rateLimit }: ServerDeps, clientAddress: string): () => void {
  const caller = `unverified ${clientAddress}`;
  if (!rateLimit.allow(caller, 'unverified')) throw new Refusal('rate_limited', 'too many calls from this address that no enrolled key has signed', { hint: 'Wait a minute; if this machine is signed in, see brevet doctor.' });
  return () => rateLimit.giveBack(caller, 'unverified');
}

async function prove(deps: ServerDeps, message: Parameters<ServerDeps['verifyRequest']>[0], body: Uint8Array | null, clientAddress: string, spend: boolean): Promise<Actor> {
  // The time and the key in one transaction: every call pays for it.
  const head = await deps.app.store.transaction((tx) =>
    deps.verifyRequest(message, tx.now, async (keyId) => (isId('key', keyId) ? ((await findKey(tx, keyId))?.publicKey ?? null) : null)));
  const empty = body === null || body.length === 0;
  if (head.contentDigest === null ? !empty : empty || head.contentDigest !== contentDigest(body)) {
    throw new Refusal('unauthenticated', 'the body is not the one that was signed');
  }
  return await authenticateKey(deps.app, head.keyId as `key_${string}`, head.nonce, spend, clientAddress);
}
