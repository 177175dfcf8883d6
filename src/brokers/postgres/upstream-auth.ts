import { createHash, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { Leg } from './leg.ts';
import {
  AUTH_CLEARTEXT, AUTH_MD5, AUTH_OK, AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL, code, frame, int32, ProtocolError,
  readStrings, strings,
} from './messages.ts';
import { attributes, CHANNEL_BINDING, fromBase64, hmac, isNonce, MAX_SASL, prepared, SCRAM, SCRAM_PLUS, sha256, xor } from './scram.ts';

const deriveKey = promisify(pbkdf2);
/** A hostile target must not make us compute for ever. PostgreSQL's default is 4,096. */
const MAX_ITERATIONS = 1_000_000;

export interface UpstreamSecret {
  readonly user: string;
  readonly password: string;
  /** Whether the connection is encrypted, or the target's owner has said that it need not be. */
  readonly channel: 'encrypted' | 'plain_by_choice' | 'plain_by_fallback';
  /** The target certificate's `tls-server-end-point`; `null` without TLS or where it has none. */
  readonly binding: Buffer | null;
  /** 18 fresh random bytes. */
  readonly nonce: Uint8Array;
}

/**
 * Answers one authentication request of the target; `true` when it let us in. What it may ask for depends on the
 * channel: a password in clear only over TLS, its MD5 never where encryption was wanted and not had. In SCRAM the
 * target must prove itself before its word counts.
 *
 * @throws ProtocolError when the target asks for something we do not give
 */
export async function answerAuthentication(leg: Leg, body: Buffer, secret: UpstreamSecret): Promise<boolean> {
  if (body.length < 4) throw new ProtocolError('a malformed authentication request');
  switch (body.readInt32BE(0)) {
    case AUTH_OK:
      return true;
    case AUTH_CLEARTEXT:
      if (secret.channel !== 'encrypted') throw new ProtocolError('the target asks for the password in clear, without TLS');
      leg.socket.write(frame('p', strings(secret.password)));
      return false;
    case AUTH_MD5: {
      if (secret.channel === 'plain_by_fallback') throw new ProtocolError('the target asks for an MD5 password, without TLS');
      if (body.length !== 8) throw new ProtocolError('a malformed authentication request');
      const inner = md5(Buffer.from(secret.password + secret.user));
      leg.socket.write(frame('p', strings(`md5${md5(Buffer.concat([Buffer.from(inner), body.subarray(4)]))}`)));
      return false;
    }
    case AUTH_SASL:
      await answerScram(leg, readStrings(body, 4), secret);
      return false;
    default:
      throw new ProtocolError('the target asks for a way of signing in that Brevet does not have');
  }
}

async function answerScram(leg: Leg, offered: readonly string[], secret: UpstreamSecret): Promise<void> {
  const plus = secret.binding !== null && offered.includes(SCRAM_PLUS);
  if (!plus && !offered.includes(SCRAM)) throw new ProtocolError('the target asks for a way of signing in that Brevet does not have');
  // "y": we could bind the channel but saw no offer. A target that did offer it will notice the lie in between.
  const header = plus ? `p=${CHANNEL_BINDING},,` : secret.binding ? 'y,,' : 'n,,';
  const nonce = Buffer.from(secret.nonce).toString('base64');
  const bare = `n=,r=${nonce}`;
  const initial = Buffer.from(header + bare);
  leg.socket.write(frame('p', Buffer.concat([strings(plus ? SCRAM_PLUS : SCRAM), int32(initial.length), initial])));

  const first = await sasl(leg, AUTH_SASL_CONTINUE);
  const [whole, salt, rounds] = attributes(first, 'rsi') as [string, string, string];
  const iterations = /^\d{1,7}$/.test(rounds) ? Number(rounds) : 0;
  if (!whole.startsWith(nonce) || whole === nonce || !isNonce(whole)) throw new ProtocolError('a SCRAM nonce that is not ours');
  if (iterations < 1 || iterations > MAX_ITERATIONS) throw new ProtocolError('an impossible SCRAM iteration count');

  const salted = await deriveKey(prepared(secret.password), fromBase64(salt), iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const bound = plus ? (secret.binding as Buffer) : Buffer.alloc(0);
  const last = `c=${Buffer.concat([Buffer.from(header), bound]).toString('base64')},r=${whole}`;
  const message = `${bare},${first},${last}`;
  const proof = xor(clientKey, hmac(sha256(clientKey), message)).toString('base64');
  leg.socket.write(frame('p', Buffer.from(`${last},p=${proof}`)));

  const final = await sasl(leg, AUTH_SASL_FINAL);
  const expected = hmac(hmac(salted, 'Server Key'), message).toString('base64');
  if (final !== `v=${expected}`) throw new ProtocolError('the target could not prove that it knows the password');
}

async function sasl(leg: Leg, kind: number): Promise<string> {
  const { type, body } = await leg.message(MAX_SASL);
  if (type === code('E')) throw new TargetRefused(body);
  if (type !== code('R') || body.length < 4 || body.readInt32BE(0) !== kind) {
    throw new ProtocolError('the target left the SCRAM exchange early');
  }
  return body.toString('utf8', 4);
}

/** The target's own ErrorResponse. Its text may name accounts: only its SQLSTATE is passed on. */
export class TargetRefused extends Error {
  override readonly name = 'TargetRefused';
  readonly body: Buffer;
  constructor(body: Buffer) {
    super('the target refused');
    this.body = body;
  }
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}
