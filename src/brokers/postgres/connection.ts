import type { TLSSocket } from 'node:tls';
import type { ClientProof } from '#app/ports/gate.ts';
import { Refusal } from '#domain/refusal.ts';
import { askGate, type Waiting } from '../carried/ask-gate.ts';
import type { Arrival, Patience } from '../carried/door.ts';
import { hangUp } from '../carried/hang-up.ts';
import { within } from '../carried/patience.ts';
import { challengeClient, WrongProof } from './client-auth.ts';
import type { PostgresContext } from './context.ts';
import type { Doorway } from './doorway.ts';
import { Leg, LegClosed } from './leg.ts';
import { AUTH_OK, authentication, negotiateProtocolVersion, ProtocolError, speech, type Speech } from './messages.ts';
import { PostgresSession } from './session.ts';
import { refusalSpeech, waitSpeech } from './speech.ts';
import { readOpening, readStartup, type CancelKey } from './startup.ts';
import { readWishes, type Wishes } from './wishes.ts';

const GATE_MS = 5_000;
const MOST_HANDLE = 128;

export interface Connection extends Arrival {
  readonly doorway: Doorway;
  readonly patience: Patience;
  /** Carries out a CancelRequest, here or in a sibling process. */
  cancel(key: CancelKey): Promise<void>;
}

/** Takes an accepted socket from its first byte to the end of its session. Never throws. */
export async function serveConnection(context: PostgresContext, connection: Connection): Promise<void> {
  const { raw, patience } = connection;
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

async function signIn(context: PostgresContext, connection: Connection, leg: Leg, socket: TLSSocket, proved: () => void): Promise<void> {
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
  const answer = await askGate(context, waiting(leg), askOf(context, proof, wishes, connection.address)).finally(leave);
  if (answer === null) return void socket.destroy();
  if ('refused' in answer) {
    socket.write(speech(refusalSpeech(answer)));
    return hangUp(socket);
  }
  await new PostgresSession(context, leg, wishes, answer).start();
}

function waiting(leg: Leg): Waiting {
  return {
    get gone() {
      return leg.gone;
    },
    onGone: (listener) => leg.onGone(listener),
    say: (words) => void leg.socket.write(speech(waitSpeech(words))),
  };
}

function askOf(context: PostgresContext, proof: ClientProof, wishes: Wishes, address: string) {
  const { target, within, grant, request, waitSeconds, application } = wishes;
  return { protocol: 'postgresql', broker: context.broker, proof, target, within, grant, request, waitSeconds, client: { address, application } } as const;
}

/** A certificate that Brevet's authority signed speaks for itself; everybody else is challenged for a token. */
async function prove(context: PostgresContext, connection: Connection, leg: Leg, socket: TLSSocket, wishes: Wishes): Promise<ClientProof> {
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
