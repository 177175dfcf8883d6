import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientProof } from '#app/ports/gate.ts';
import { Refusal } from '#domain/refusal.ts';
import { challengeClient, WrongProof } from './client-auth.ts';
import type { BrokerContext } from './context.ts';
import type { Doorway } from './doorway.ts';
import { hangUp, Leg, LegClosed } from './leg.ts';
import { AUTH_OK, authentication, negotiateProtocolVersion, ProtocolError, speech, type Speech } from './messages.ts';
import { openSession } from './open-session.ts';
import { within } from './patience.ts';
import { Session } from './session.ts';
import { refusalSpeech } from './speech.ts';
import { readOpening, readStartup, type CancelKey } from './startup.ts';
import { readWishes, type Wishes } from './wishes.ts';

/** Each step before the proof, and all of them together. */
export interface Patience {
  readonly stepMs: number;
  readonly proofMs: number;
}
export const PATIENCE: Patience = { stepMs: 10_000, proofMs: 20_000 };

const GATE_MS = 5_000;
const MOST_HANDLE = 128;

export interface Connection {
  readonly raw: Socket;
  readonly address: string;
  readonly doorway: Doorway;
  readonly patience: Patience;
  /** The client has said what it wants: when places run out, silent ones go first. */
  spoke(): void;
  /** The client has proved who it is: it no longer counts as half open. */
  proved(): void;
  /** Counts it among those that may wait for an approval, and answers how to count it out; `null` when there are too many. */
  wait(): (() => void) | null;
  /** Carries out a CancelRequest, here or in a sibling process. */
  cancel(key: CancelKey): Promise<void>;
}

/** Takes an accepted socket from its first byte to the end of its session. Never throws. */
export async function serveConnection(context: BrokerContext, connection: Connection): Promise<void> {
  const { raw, patience } = connection;
  raw.setNoDelay(true);
  raw.setKeepAlive(true, 30_000);
  raw.on('error', () => undefined);
  const proof = setTimeout(() => raw.destroy(), patience.proofMs);
  let leg: Leg | undefined;
  try {
    const opening = await readOpening(raw, patience.stepMs);
    connection.spoke();
    if (opening.wants === 'plaintext') {
      raw.write(speech(PLAINTEXT));
      return hangUp(raw);
    }
    if (opening.wants === 'cancel') {
      await connection.cancel(opening.key);
      return hangUp(raw);
    }
    const socket = await connection.doorway.encrypt(raw, opening.direct);
    leg = new Leg(socket);
    await signIn(context, connection, leg, socket, () => {
      clearTimeout(proof);
      connection.proved();
    });
  } catch (error) {
    const words = wordsFor(error);
    if (words === OUR_FAULT) context.log('error', 'a connection failed', { error: String(error) });
    if (leg && words && !leg.gone) {
      leg.socket.write(speech(words));
      hangUp(leg.socket);
    } else raw.destroy();
  } finally {
    clearTimeout(proof);
    leg?.disarm();
    connection.proved();
  }
}

async function signIn(context: BrokerContext, connection: Connection, leg: Leg, socket: TLSSocket, proved: () => void): Promise<void> {
  leg.arm(connection.patience.stepMs, 'the startup packet');
  const startup = await readStartup(leg);
  if ('pid' in startup) {
    await connection.cancel(startup);
    return hangUp(socket);
  }
  const wishes = readWishes(startup.parameters);
  if (startup.minor > 0 || wishes.unknownOptions.length > 0) socket.write(negotiateProtocolVersion(wishes.unknownOptions));
  leg.arm(connection.patience.stepMs, 'signing in');
  const proof = await prove(context, connection, leg, socket, wishes);
  leg.disarm();
  proved();
  // Before this the client may hear no notice, and a wait for approval is long: it is told that its proof held.
  socket.write(authentication(AUTH_OK));

  const waits = wishes.waitSeconds > 0 || wishes.request !== null;
  const leave = waits ? connection.wait() : () => undefined;
  if (leave === null) throw new Refusal('quota_exceeded', 'too many connections wait for an approval here', { hint: 'Connect when it is approved.' });
  const answer = await openSession(context, leg, proof, wishes, connection.address).finally(leave);
  if (answer === null) return void socket.destroy();
  if ('refused' in answer) {
    socket.write(speech(refusalSpeech(answer)));
    return hangUp(socket);
  }
  await new Session(context, leg, wishes, answer).start();
}

/** A certificate that Brevet's authority signed speaks for itself; everybody else is challenged for a token. */
async function prove(context: BrokerContext, connection: Connection, leg: Leg, socket: TLSSocket, wishes: Wishes): Promise<ClientProof> {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  if (certificate) {
    const subject = commonName(certificate.subject);
    if (subject === null) throw new Refusal('unauthenticated', 'the certificate does not name one principal');
    return { by: 'certificate', fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(), subject };
  }
  const handle = wishes.handle.slice(0, MOST_HANDLE);
  const verifier = await within(GATE_MS, context.gate.tokenVerifier(handle)).catch(() => {
    throw new Refusal('unavailable', 'nobody can be signed in at the moment', { hint: 'Try again in a moment.' });
  });
  await challengeClient(leg, { verifier, binding: connection.doorway.binding, nonce: context.random(18) });
  return { by: 'token', handle };
}

/** The one CN of a subject. Node writes a component per line and escapes what could look like another. */
function commonName(subject: string): string | null {
  const names = subject.split('\n').filter((line) => line.startsWith('CN='));
  return names.length === 1 ? (names[0] as string).slice(3) : null;
}

function wordsFor(error: unknown): Speech | null {
  if (error instanceof Refusal) {
    return refusalSpeech({ refused: error.code, message: error.message, hint: error.details.hint ?? null });
  }
  if (error instanceof WrongProof) return refusalSpeech({ refused: 'unauthenticated', message: 'this token does not open anything', hint: null });
  if (error instanceof ProtocolError) return { severity: 'FATAL', code: '08P01', message: `Brevet: ${error.message}` };
  if (error instanceof LegClosed) return null;
  return OUR_FAULT;
}

const OUR_FAULT: Speech = { severity: 'FATAL', code: 'XX000', message: 'Brevet: something is wrong on our side' };

const PLAINTEXT: Speech = {
  severity: 'FATAL',
  code: '28000',
  message: 'Brevet: connections must be encrypted',
  hint: 'Connect with sslmode=require or, to know whom you talk to, sslmode=verify-full.',
};
