import { createPublicKey, verify } from 'node:crypto';
import { bodyMatches, readSignature, SIGNATURE_WINDOW, type HttpMessage } from '#contract/request-signature.ts';
import { Refusal } from '#domain/refusal.ts';

export interface SignatureCheck {
  readonly now: Date;
  /** The hosts under which this server is known: a signature made for another server is worth nothing here. */
  readonly authorities: readonly string[];
  /** The live enrolled key of that id, as SPKI in PEM. */
  readonly publicKeyOf: (keyId: string) => Promise<string | null>;
}

/** What a good signature says. It is good once: the caller spends the nonce in the store before it acts. */
export interface VerifiedSignature {
  readonly keyId: string;
  readonly nonce: string;
  readonly created: Date;
  /** For `checkBody`, as soon as the body is there. */
  readonly contentDigest: string | null;
}

/**
 * Verifies the head of a request: it needs no body, so that nothing of a stranger's is parsed. The order matters:
 * form, host and clock first, because they cost nothing, then the key.
 *
 * Nonces have to be remembered for twice SIGNATURE_WINDOW.
 * @throws Refusal `unauthenticated`
 */
export async function verifyRequest(message: HttpMessage, check: SignatureCheck): Promise<VerifiedSignature> {
  const result = readSignature(message);
  if ('wrong' in result) throw unauthenticated(result.wrong);
  const { keyId, nonce, created, signature, base, contentDigest } = result.read;
  if (!check.authorities.includes(message.authority)) {
    throw unauthenticated('the request is signed for another host', `This server answers to ${check.authorities.join(', ')}.`);
  }
  const ahead = Math.round(created - check.now.getTime() / 1000);
  if (Math.abs(created * 1000 - check.now.getTime()) > SIGNATURE_WINDOW * 1000) {
    const how = ahead > 0 ? `${ahead} s ahead of` : `${-ahead} s behind`;
    throw unauthenticated(`the signature is ${how} the server's clock`, `At most ${SIGNATURE_WINDOW} s are allowed: check this machine's clock.`);
  }
  const pem = await check.publicKeyOf(keyId);
  // One answer for an unknown key and a wrong signature: key ids can't be tried out.
  if (pem === null || !isSignedBy(pem, base, signature)) throw unauthenticated('no enrolled key has signed this request', 'Sign in again: brevet login.');
  return { keyId, nonce, created: new Date(created * 1000), contentDigest };
}

/** @throws Refusal `unauthenticated` unless the body is the one that was signed */
export function checkBody(verified: Pick<VerifiedSignature, 'contentDigest'>, body: Uint8Array): void {
  if (!bodyMatches(verified.contentDigest, body)) throw unauthenticated('the body is not the one that was signed');
}

/** The key's type decides the algorithm, never the request: an RSA, EC or secret key stored by mistake verifies nothing. */
function isSignedBy(pem: string, base: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey(pem);
  return key.asymmetricKeyType === 'ed25519' && verify(null, base, key, signature);
}

function unauthenticated(message: string, hint?: string): Refusal {
  return new Refusal('unauthenticated', message, hint === undefined ? {} : { hint });
}
