import type { SessionOrder } from '#app/ports/gate.ts';
import type { BrokerContext } from './context.ts';
import { within } from './patience.ts';

const TICK_MS = 250;
const MOST_BETWEEN_MS = 10_000;
const RENEW_PATIENCE_MS = 10_000;

/** How often a lease is renewed: three times while it lasts. */
export const renewEvery = (leaseMs: number): number => Math.min(leaseMs / 3, MOST_BETWEEN_MS);

/** The monotonic clock stands still while a machine sleeps; the wall clock shows that it did. */
const WOKE_UP_MS = 3_000;

/**
 * Keeps the leases of all sessions of a broker in one call, carries out the gate's orders, and drives what each
 * session does several times a second. Answers how to stop.
 */
export function keepLeases(context: BrokerContext): () => void {
  let renewing = false;
  let lastRenewal = context.monotonic();
  let drift = context.now() - context.monotonic();

  const renew = async (): Promise<void> => {
    const asked = context.monotonic();
    renewing = true;
    lastRenewal = asked;
    try {
      const orders = await within(RENEW_PATIENCE_MS, context.gate.renew(context.broker, [...context.sessions.keys()]));
      for (const order of orders) {
        // Only an answer counts, not an order that came unasked: it is the answer that has lengthened the lease.
        if (order.order !== 'cut') context.sessions.get(order.session)?.renewed(asked);
        carryOut(context, order, asked);
      }
    } catch {
      // Not heard: every session counts its own grace.
    } finally {
      renewing = false;
    }
  };

  const timer = setInterval(() => {
    const now = context.monotonic();
    let lease = Infinity;
    for (const session of context.sessions.values()) {
      if (session.ticket.leaseMs < lease) lease = session.ticket.leaseMs;
      session.tick(now);
    }
    const drifted = context.now() - now;
    const wokeUp = drifted - drift > WOKE_UP_MS;
    drift = drifted;
    const due = wokeUp || now - lastRenewal >= renewEvery(lease);
    if (context.sessions.size > 0 && !renewing && due) void renew();
  }, TICK_MS);
  const deaf = context.gate.onOrder((order) => carryOut(context, order, context.monotonic()));
  return () => {
    clearInterval(timer);
    deaf();
  };
}

/** `at`: the monotonic instant from which the order counts; for a renewal the one at which it was asked, to be safe. */
export function carryOut(context: BrokerContext, order: SessionOrder, at: number): void {
  const session = context.sessions.get(order.session);
  if (!session) return;
  if (order.order === 'cut') return session.cut(order.reason, order.message);
  if (order.order === 'deadline') session.moveDeadline(order.remainingMs, at);
}
