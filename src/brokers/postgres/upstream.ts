import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { PostgresUpstream } from '#app/ports/gate.ts';
import { Refusal } from '#domain/refusal.ts';
import { connectLeg, Leg, LegClosed } from './leg.ts';
import { cancelRequest, code, ProtocolError, readFields, sslRequest, startupMessage } from './messages.ts';
import type { CancelKey } from './startup.ts';
import { endPointHash } from './scram.ts';
import { answerAuthentication, TargetRefused, type UpstreamSecret } from './upstream-auth.ts';

/** A session on the target, ready for its first statement. */
export interface Upstream {
  readonly leg: Leg;
  readonly key: CancelKey;
  /** ParameterStatus and notices as they came: the client is to see them unchanged. */
  readonly greeting: Buffer;
  readonly parameters: ReadonlyMap<string, string>;
}

const DIAL_MS = 10_000;
/** A hostile target may chatter before it is ready; this much is believed. */
const MAX_GREETING = 128 * 1024;
const MAX_GREETING_MESSAGE = 16 * 1024;

/**
 * Signs in on the target. Bounded in time and in what the target may send; on any failure, and when `signal` fires,
 * the connection is closed before this throws.
 *
 * @throws Refusal `target_unreachable`, `target_refused`: without addresses, accounts or the target's own words
 */
export async function dialUpstream(
  address: PostgresUpstream,
  parameters: readonly (readonly [string, string])[],
  random: (size: number) => Uint8Array,
  signal: AbortSignal,
): Promise<Upstream> {
  let leg: Leg | undefined;
  const stop = () => leg?.socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const encrypted = await dial(address);
    leg = encrypted.leg;
    if (signal.aborted) throw new LegClosed('the client went away');
    leg.arm(DIAL_MS, 'signing in');
    leg.socket.write(startupMessage(parameters));
    const upstream = await signIn(leg, { user: address.user, password: address.password, nonce: random(18), ...encrypted });
    leg.disarm();
    return upstream;
  } catch (error) {
    stop();
    throw asRefusal(error);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Asks the target to cancel what the session with this key runs. Answers when the target has heard it; never throws. */
export async function cancelUpstream(address: PostgresUpstream, key: CancelKey): Promise<void> {
  try {
    const { leg } = await dial(address, 2_000);
    leg.arm(2_000, 'cancelling');
    leg.socket.write(cancelRequest(key.pid, key.secret));
    // The target closes the connection when the signal is sent.
    await new Promise<void>((resolve) => leg.onGone(resolve));
    leg.disarm();
    leg.socket.destroy();
  } catch {
    // Unreachable: then its query can't be reached either, and the connection that carried it is closed anyway.
  }
}

type Dialled = { readonly leg: Leg } & Pick<UpstreamSecret, 'channel' | 'binding'>;

async function dial(address: PostgresUpstream, timeoutMs = DIAL_MS): Promise<Dialled> {
  const raw = await connectLeg(address.host, address.port, timeoutMs);
  if (address.tls === 'disable') return { leg: raw, channel: 'plain_by_choice', binding: null };
  try {
    raw.arm(timeoutMs, 'the TLS handshake');
    raw.socket.write(sslRequest());
    const answer = (await raw.take(1))[0];
    // Anything behind the answer was sent in clear and would count as encrypted (CVE-2021-23222).
    if (raw.pending.bytes > 0) throw new ProtocolError('unexpected bytes in front of the TLS handshake');
    if (answer === code('N')) {
      raw.disarm();
      if (address.tls === 'prefer') return { leg: raw, channel: 'plain_by_fallback', binding: null };
      throw new ProtocolError('the target has no TLS');
    }
    if (answer !== code('S')) throw new ProtocolError('the target does not speak the PostgreSQL protocol');
    const socket = await encrypt(raw, address);
    raw.disarm();
    const certificate = socket.getPeerX509Certificate();
    return { leg: new Leg(socket), channel: 'encrypted', binding: certificate ? endPointHash(certificate) : null };
  } catch (error) {
    raw.disarm();
    raw.socket.destroy();
    throw error;
  }
}

/** `verify-full` checks chain and name; `require` and `prefer` check the chain when an authority is given, as libpq does. */
async function encrypt(raw: Leg, address: PostgresUpstream): Promise<TLSSocket> {
  const full = address.tls === 'verify-full';
  const options: ConnectionOptions = {
    socket: raw.socket,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['postgresql'],
    rejectUnauthorized: full || address.ca !== null,
    ...(isIP(address.host) === 0 ? { servername: address.host } : { host: address.host }),
    ...(address.ca === null ? {} : { ca: address.ca }),
    ...(full ? {} : { checkServerIdentity: () => undefined }),
  };
  const socket = connectTls(options);
  const failed = once(raw.socket, 'close').then(() => Promise.reject(new LegClosed('the TLS handshake failed')));
  try {
    await Promise.race([once(socket, 'secureConnect'), failed]);
  } catch (error) {
    socket.destroy();
    if (error instanceof LegClosed) throw error;
    throw new ProtocolError("the target's certificate does not verify, or its TLS is too old");
  } finally {
    failed.catch(() => undefined);
  }
  return socket;
}

async function signIn(leg: Leg, secret: UpstreamSecret): Promise<Upstream> {
  const greeting: Buffer[] = [];
  const parameters = new Map<string, string>();
  let key: CancelKey = { pid: 0, secret: 0 };
  let inside = false;
  for (let total = 0; ; ) {
    const { type, body } = await leg.message(MAX_GREETING_MESSAGE);
    total += body.length + 5;
    if (total > MAX_GREETING) throw new ProtocolError('the target says too much before it is ready');
    const letter = String.fromCharCode(type);
    if (letter === 'E') throw new TargetRefused(body);
    if (letter === 'R' && !inside) inside = await answerAuthentication(leg, body, secret);
    else if (letter === 'N') greeting.push(message(type, body));
    else if (letter === 'S' && inside) {
      greeting.push(message(type, body));
      const [name = '', value = ''] = body.toString('utf8').split('\0');
      parameters.set(name, value);
    } else if (letter === 'K' && inside && body.length === 8) key = { pid: body.readInt32BE(0), secret: body.readInt32BE(4) };
    else if (letter === 'Z' && inside) return { leg, key, greeting: Buffer.concat(greeting), parameters };
    else throw new ProtocolError('the target does not speak the PostgreSQL protocol');
  }
}

function message(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** What a target's SQLSTATE means to the person who connects. Their own doing may be named, Brevet's account may not. */
const TARGET_SAYS: Readonly<Record<string, string>> = {
  '28': "the target does not accept Brevet's sign-in",
  '3D': 'the target has no such database',
  '53': 'the target has no room for another connection',
  '57': 'the target is starting up or shutting down',
  '22': 'the target does not accept one of the connection options',
  '42': 'the target does not allow one of the connection options, or the database',
};

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof TargetRefused) {
    const state = readFields(error.body).get('C') ?? '';
    const sqlstate = /^[0-9A-Z]{5}$/.test(state) ? state : 'XX000';
    const words = TARGET_SAYS[sqlstate.slice(0, 2)] ?? 'the target refused the session';
    return new Refusal('target_refused', `${words} (SQLSTATE ${sqlstate})`, { facts: { sqlstate } });
  }
  if (error instanceof ProtocolError) return new Refusal('target_refused', error.message);
  return new Refusal('target_unreachable', 'the target does not answer');
}
