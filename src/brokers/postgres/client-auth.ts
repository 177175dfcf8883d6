import { timingSafeEqual } from 'node:crypto';
import type { ScramVerifier } from '#app/ports/gate.ts';
import type { Leg } from './leg.ts';
import { AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL, authentication, code, ProtocolError, strings } from './messages.ts';
import { attributes, CHANNEL_BINDING, fromBase64, hmac, isNonce, MAX_SASL, SCRAM, SCRAM_PLUS, sha256, xor } from './scram.ts';

/** The proof did not hold. Says nothing about whether there was anything to prove. */
export class WrongProof extends Error {
  override readonly name = 'WrongProof';
}

export interface ScramServer {
  readonly verifier: ScramVerifier;
  /** The `tls-server-end-point` of Brevet's certificate; `null` when it has none. */
  readonly binding: Buffer | null;
  /** 18 fresh random bytes. */
  readonly nonce: Uint8Array;
}

/**
 * Challenges the client by SCRAM (RFC 5802) and returns when it has proved that it knows the secret; the client has
 * then seen that Brevet knows the verifier. A client that could have bound the channel and was kept from seeing the
 * offer is refused.
 *
 * @throws WrongProof, ProtocolError, LegClosed
 */
export async function challengeClient(leg: Leg, server: ScramServer): Promise<void> {
  const offered = server.binding ? [SCRAM_PLUS, SCRAM] : [SCRAM];
  leg.socket.write(authentication(AUTH_SASL, Buffer.concat([strings(...offered), Buffer.of(0)])));

  const opening = readInitial(await password(leg));
  if (!offered.includes(opening.mechanism)) throw new ProtocolError('an authentication mechanism that was not offered');
  const first = readFirst(opening.text, opening.mechanism === SCRAM_PLUS, server.binding !== null);
  const nonce = first.nonce + Buffer.from(server.nonce).toString('base64');
  const reply = `r=${nonce},s=${server.verifier.salt},i=${server.verifier.iterations}`;
  leg.socket.write(authentication(AUTH_SASL_CONTINUE, Buffer.from(reply)));

  const final = (await password(leg)).toString('utf8');
  const cut = final.lastIndexOf(',p=');
  if (cut < 0) throw new ProtocolError('a malformed SCRAM message');
  const [channel, returned] = attributes(final.slice(0, cut), 'cr') as [string, string];
  const bound = opening.mechanism === SCRAM_PLUS ? (server.binding as Buffer) : Buffer.alloc(0);
  if (!same(fromBase64(channel), Buffer.concat([Buffer.from(first.header), bound]))) {
    throw new ProtocolError('the channel binding does not hold: somebody stands in between');
  }
  if (returned !== nonce) throw new ProtocolError('a SCRAM nonce that was not ours');

  const message = `${first.bare},${reply},${final.slice(0, cut)}`;
  const proof = fromBase64(final.slice(cut + 3));
  const stored = Buffer.from(server.verifier.storedKey, 'base64');
  if (proof.length !== 32 || stored.length !== 32) throw new WrongProof();
  const key = xor(proof, hmac(stored, message));
  if (!timingSafeEqual(sha256(key), stored)) throw new WrongProof();
  const signature = hmac(Buffer.from(server.verifier.serverKey, 'base64'), message);
  leg.socket.write(authentication(AUTH_SASL_FINAL, Buffer.from(`v=${signature.toString('base64')}`)));
}

async function password(leg: Leg): Promise<Buffer> {
  const { type, body } = await leg.message(MAX_SASL);
  // psql hangs up here to ask its user for the password, and comes back.
  if (type !== code('p')) throw new ProtocolError('an answer to the challenge was expected');
  return body;
}

function readInitial(body: Buffer): { mechanism: string; text: string } {
  const end = body.indexOf(0);
  if (end < 0 || body.length < end + 5) throw new ProtocolError('a malformed SASL message');
  const size = body.readInt32BE(end + 1);
  if (size !== body.length - end - 5) throw new ProtocolError('a malformed SASL message');
  return { mechanism: body.toString('latin1', 0, end), text: body.toString('utf8', end + 5) };
}

/** Takes the client's first message apart: GS2 header, the bare rest, the nonce. The user name in it is ignored. */
function readFirst(text: string, plus: boolean, offeredPlus: boolean): { header: string; bare: string; nonce: string } {
  const match = /^(n|y|p=([^,]*)),([^,]*),(.*)$/s.exec(text);
  if (!match) throw new ProtocolError('a malformed SCRAM message');
  const [, flag, binding, identity, bare] = match as unknown as [string, string, string | undefined, string, string];
  if (identity !== '') throw new ProtocolError('signing in on behalf of somebody else is not supported');
  if (plus ? binding !== CHANNEL_BINDING : flag.startsWith('p')) throw new ProtocolError('an unsupported channel binding');
  if (flag === 'y' && offeredPlus) throw new ProtocolError('the offer of channel binding was hidden from the client');
  const [, nonce] = attributes(bare, 'nr') as [string, string];
  if (!isNonce(nonce)) throw new ProtocolError('a malformed SCRAM nonce');
  return { header: `${flag},,`, bare, nonce };
}

function same(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
