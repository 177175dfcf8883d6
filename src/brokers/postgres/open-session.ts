import type { ClientProof, GateRefusal, OpenSession, SessionTicket } from '#app/ports/gate.ts';
import type { BrokerContext } from './context.ts';
import { within } from './patience.ts';
import type { Leg } from './leg.ts';
import { speech } from './messages.ts';
import { waitSpeech } from './speech.ts';
import type { Wishes } from './wishes.ts';

/** The gate's patience beyond the wait that the client asked for. */
const GATE_MS = 10_000;
/** A decision that takes longer than this is worth a word to the client. */
const SILENCE_MS = 700;

/**
 * Asks the gate for a ticket and keeps the client company while it waits for an approval. When the client goes away
 * the gate is told; should it have given a ticket all the same, that session is reported as ended.
 *
 * Answers `null` when the client is gone.
 */
export async function openSession(
  context: BrokerContext,
  leg: Leg,
  proof: ClientProof,
  wishes: Wishes,
  address: string,
): Promise<SessionTicket | GateRefusal | null> {
  const ask: OpenSession = {
    protocol: 'postgresql',
    broker: context.broker,
    proof,
    target: wishes.target,
    within: wishes.within,
    grant: wishes.grant,
    request: wishes.request,
    waitSeconds: wishes.waitSeconds,
    client: { address, application: wishes.application },
  };
  const gone = new AbortController();
  leg.onGone(() => gone.abort());
  const company = setTimeout(() => {
    const what = wishes.request?.entitlement ?? wishes.target;
    if (wishes.waitSeconds > 0) leg.socket.write(speech(waitSpeech(what, wishes.waitSeconds)));
  }, SILENCE_MS);
  const answer = context.gate.open(ask, gone.signal);
  try {
    const given = await within(wishes.waitSeconds * 1000 + GATE_MS, Promise.race([answer, aborted(gone.signal)]));
    if (given !== null && !leg.gone) return given;
    giveBack(context, answer);
    return null;
  } catch {
    gone.abort();
    giveBack(context, answer);
    return { refused: 'unavailable', message: 'no decision could be had', hint: 'Try again in a moment.' };
  } finally {
    clearTimeout(company);
  }
}

/** A ticket that comes too late opens nothing. */
function giveBack(context: BrokerContext, answer: Promise<SessionTicket | GateRefusal>): void {
  answer
    .then((given) => {
      if ('refused' in given) return;
      const counters = { statements: 0, bytesIn: 0, bytesOut: 0 };
      return context.gate.ended({ session: given.session, reason: 'client_closed', counters });
    })
    .catch(() => undefined);
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
