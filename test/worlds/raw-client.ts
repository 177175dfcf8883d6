/** A PostgreSQL client that says exactly what a test wants, down to the byte. */
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Leg, type Message } from '#brokers/postgres/leg.ts';
import { frame, int32, readFields, sslRequest, startupMessage, strings } from '#brokers/postgres/messages.ts';
import { answerAuthentication } from '#brokers/postgres/upstream-auth.ts';
import type { MemoryToken } from './memory-gate.ts';

export interface RawClient {
  readonly leg: Leg;
  readonly socket: TLSSocket;
  send(...frames: readonly Buffer[]): void;
  /** Messages up to and including the first of this type; up to the end when the connection ends before. */
  until(letter: string): Promise<Message[]>;
  close(): void;
}

export async function openRaw(port: number, from = '127.0.0.1'): Promise<Socket> {
  const raw = connect({ port, host: '127.0.0.1', localAddress: from });
  raw.on('error', () => undefined);
  await once(raw, 'connect');
  return raw;
}

/** Encrypts by SSLRequest, or at once when `direct` names the protocol to offer (`null`: none). */
export async function openTls(port: number, direct?: string | null): Promise<TLSSocket> {
  const raw = await openRaw(port);
  if (direct === undefined) {
    raw.write(sslRequest());
    await Promise.race([once(raw, 'readable'), once(raw, 'close')]);
    if (String(raw.read(1)) !== 'S') throw new Error('no TLS');
  }
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ...(direct ? { ALPNProtocols: [direct] } : {}) });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

export function rawClient(socket: TLSSocket): RawClient {
  const leg = new Leg(socket);
  return {
    leg,
    socket,
    send: (...frames) => void socket.write(Buffer.concat(frames)),
    async until(letter) {
      const seen: Message[] = [];
      for (;;) {
        const message = await leg.message(1 << 20).catch(() => null);
        if (message === null) return seen;
        seen.push(message);
        if (message.type === letter.charCodeAt(0)) return seen;
      }
    },
    close: () => void socket.destroy(),
  };
}

/** Signs in with a token and waits for ReadyForQuery, or for the refusal. Answers what came after the proof. */
export async function signInRaw(
  port: number,
  token: MemoryToken,
  parameters: readonly (readonly [string, string])[] = [],
  startup: (parameters: readonly (readonly [string, string])[]) => Buffer = startupMessage,
): Promise<{ client: RawClient; greeting: Message[] }> {
  const socket = await openTls(port);
  const client = rawClient(socket);
  socket.write(startup([['user', `x/${token.handle}`], ['database', 'orders'], ...parameters]));
  const secret = { user: 'x', password: token.secret, channel: 'encrypted' as const, binding: null, nonce: randomBytes(18) };
  const greeting: Message[] = [];
  for (;;) {
    const message = await client.leg.message(10_000);
    if (message.type !== 0x52) greeting.push(message);
    if (message.type === 0x45) return { client, greeting };
    // "n": no channel binding, as an old client would.
    if (message.type === 0x52 && (await answerAuthentication(client.leg, message.body, secret))) break;
  }
  for (;;) {
    const message = await client.leg.message(10_000);
    greeting.push(message);
    if (message.type === 0x5a || message.type === 0x45) return { client, greeting };
  }
}

/** What an ErrorResponse among these messages says. */
export function errorOf(messages: readonly Message[]): { code: string; message: string; hint: string } | null {
  const error = messages.find((each) => each.type === 0x45);
  if (!error) return null;
  const fields = readFields(error.body);
  return { code: fields.get('C') ?? '', message: fields.get('M') ?? '', hint: fields.get('H') ?? '' };
}

export const query = (sql: string) => frame('Q', strings(sql));
export const parse = (name: string, sql: string) => frame('P', Buffer.concat([strings(name, sql), Buffer.alloc(2)]));
export const bind = (portal: string, name: string) => frame('B', Buffer.concat([strings(portal, name), Buffer.alloc(6)]));
export const execute = (portal: string) => frame('E', Buffer.concat([strings(portal), int32(0)]));
export const close = (kind: 'S' | 'P', name: string) => frame('C', Buffer.concat([Buffer.from(kind), strings(name)]));
export const sync = () => frame('S', Buffer.alloc(0));
