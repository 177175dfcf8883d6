import type { FastifyRequest } from 'fastify';
import type { Actor } from '#app/actor.ts';
import { authenticateKey, findKey } from '#app/signin/authenticate-key.ts';
import { isId } from '#domain/id.ts';
import { originOf } from '#domain/origin-of.ts';
import { Refusal } from '#domain/refusal.ts';
import { contentDigest, readSignature } from '#contract/request-signature.ts';
import type { ServerDeps } from './deps.ts';

/**
 * Who sends this request: every one is signed with an enrolled key (RFC 9421), over its method, path, query and body.
 * There is no bearer token that could leak. `spend`: whether the signature is good only once; for a read it need not be,
 * for a stream, which goes on and on, it must.
 *
 * In this order: the form, which costs nothing; the address's bound, or that of a key known here; the store, which alone
 * says whether the key counts. @throws Refusal `unauthenticated`, `rate_limited`
 */
export async function authenticate(deps: ServerDeps, request: FastifyRequest, body: Uint8Array | null, clientAddress: string, spend = request.raw.method !== 'GET'): Promise<Actor> {
  const { raw } = request;
  const message = { method: raw.method ?? '', authority: raw.headers.host ?? '', target: raw.url ?? '', headers: raw.headersDistinct };
  const form = readSignature(message);
  if ('wrong' in form) throw new Refusal('unauthenticated', form.wrong);
  const release = await admit(deps, message, form.read.keyId, clientAddress);
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

type Message = Parameters<ServerDeps['verifyRequest']>[0];

/**
 * H01: whoever has proved nothing yet costs the store a transaction, so each address has so many of them, under way or
 * failed. A proof gives its place back. An address may stand for many, behind a proxy or a NAT: when it has used up what
 * it has, a call that a key known here has signed counts by that key. @throws Refusal `rate_limited`
 */
async function admit({ rateLimit, knownKeys, verifyRequest }: ServerDeps, message: Message, keyId: string, clientAddress: string): Promise<() => void> {
  const place = (caller: string) => (rateLimit.allow(caller, 'unverified') ? () => rateLimit.giveBack(caller, 'unverified') : null);
  const isSignedByKnown = async () => {
    const known = knownKeys.of(keyId);
    return known !== null && (await verifyRequest(message, known.now, async () => known.publicKey).then(() => true, () => false));
  };
  const release = place(`unverified ${originOf(clientAddress)}`) ?? ((await isSignedByKnown()) ? place(`unverified ${keyId}`) : null);
  if (!release) throw new Refusal('rate_limited', 'too many calls from this address that no enrolled key has signed', { hint: 'Wait a minute; if this machine is signed in, see brevet doctor.' });
  return release;
}

async function prove(deps: ServerDeps, message: Message, body: Uint8Array | null, clientAddress: string, spend: boolean): Promise<Actor> {
  // The time and the key in one transaction: every call pays for it.
  const { head, publicKey, now } = await deps.app.store.transaction(async (tx) => {
    let found: string | null = null;
    const verified = await deps.verifyRequest(message, tx.now, async (keyId) => (found = isId('key', keyId) ? ((await findKey(tx, keyId))?.publicKey ?? null) : null));
    return { head: verified, publicKey: found as string | null, now: tx.now };
  });
  const empty = body === null || body.length === 0;
  if (head.contentDigest === null ? !empty : empty || head.contentDigest !== contentDigest(body)) {
    throw new Refusal('unauthenticated', 'the body is not the one that was signed');
  }
  const actor = await authenticateKey(deps.app, head.keyId as `key_${string}`, head.nonce, spend, clientAddress);
  if (publicKey !== null) deps.knownKeys.remember(head.keyId, publicKey, now);
  return actor;
}
