import type { GateRefusal, OpenSession, SessionTicket, Upstream } from '#app/ports/gate.ts';
import type { BrokerContext } from './context.ts';
import { within } from './patience.ts';
import { waitWords, type Words } from './words.ts';

/** The gate's patience beyond the wait that the client asked for. */
const GATE_MS = 10_000;
/** A decision that takes longer than this is worth a word to the client. */
const SILENCE_MS = 700;

/** The client while it waits. */
export interface Waiting {
  readonly gone: boolean;
  /** Calls back once when the client goes; at once when it is gone. */
  onGone(listener: () => void): void;
  say(words: Words): void;
}

type Tickets = { readonly [To in Upstream as To['protocol']]: SessionTicket<To> };

/**
 * Asks the gate for a ticket and keeps the client company while it waits for an approval. When the client goes away
 * the gate is told; should it have given a ticket all the same, that session is reported as ended.
 *
 * Answers `null` when the client is gone.
 */
export async function askGate<Protocol extends Upstream['protocol']>(
  context: BrokerContext,
  client: Waiting,
  ask: OpenSession & { readonly protocol: Protocol },
): Promise<Tickets[Protocol] | GateRefusal | null> {
  const gone = new AbortController();
  client.onGone(() => gone.abort());
  const company = setTimeout(() => {
    if (ask.waitSeconds > 0) client.say(waitWords(ask.request?.entitlement ?? ask.target, ask.waitSeconds));
  }, SILENCE_MS);
  const answer = context.gate.open(ask, gone.signal);
  try {
    const given = await within(ask.waitSeconds * 1000 + GATE_MS, Promise.race([answer, aborted(gone.signal)]));
    if (given !== null && !client.gone) {
      if ('refused' in given || isFor(ask.protocol, given)) return given;
      throw new Error('a ticket for another protocol');
    }
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

function isFor<Protocol extends Upstream['protocol']>(protocol: Protocol, ticket: SessionTicket): ticket is Tickets[Protocol] {
  return ticket.upstream.protocol === protocol;
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
