import type { Gate, OpenSession, SessionOrder, SessionTicket } from '#app/ports/gate.ts';
import { makeId, type BrokerId, type SessionId } from '#domain/id.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { BrokerSession } from './broker-session.ts';
import type { SimNode } from './node.ts';
import { Process } from './process.ts';
import type { World } from './world.ts';

const TICK_MS = 250;
const MOST_BETWEEN_MS = 10_000;
const RENEW_PATIENCE_MS = 10_000;

/**
 * A broker process of one server's, as src/brokers/ runs it: its own memory and monotonic clock, a channel to the gate
 * that may be cut, leases renewed for all its sessions in one call. When its server dies it lets nobody in any more.
 */
export class SimBroker {
  readonly name: string;
  readonly process: Process;
  readonly id: BrokerId;
  readonly sessions = new Map<SessionId, BrokerSession>();
  readonly world: World;
  /** Its server died: it speaks to nobody any more. */
  orphaned = false;
  readonly #node: SimNode;
  #ticking = false;
  #renewing = false;
  #lastRenewal = 0;

  constructor(world: World, name: string, node: SimNode) {
    this.world = world;
    this.name = name;
    this.#node = node;
    const rng = node.process.rng.fork(name);
    this.process = new Process(name, rng, world.scheduler, rng.between(-2e-4, 2e-4));
    this.id = makeId('broker', world.scheduler.now, rng.bytes(10));
    node.gate.onOrder((order) => this.#send('order', this.process, () => this.carryOut(order, this.process.monotonic.now())));
  }

  /** One message over the channel; lost when it is cut. */
  #send(what: string, to: Process, run: () => void): void {
    if (this.orphaned || this.world.network.cutUntil(this.name, this.#node.name) > 0) return;
    this.world.scheduler.at(this.world.scheduler.now + this.process.rng.between(0.1, 1.5), 'step', what, to, run);
  }

  /** Asks the gate, and waits no longer than `patienceMs`. */
  ask<T>(what: string, patienceMs: number, work: (gate: Gate) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const answered = new AbortController();
      const once = (then: () => void) => () => {
        answered.abort();
        then();
      };
      void this.process.monotonic.sleep(patienceMs, answered.signal).then(() => reject(new Error('the gate does not answer')));
      this.#send(`gate ${what}`, this.#node.process, () => {
        work(this.#node.gate).then(
          (answer) => this.#send(`gate ${what} answers`, this.process, once(() => resolve(answer))),
          (error: unknown) => this.#send(`gate ${what} fails`, this.process, once(() => reject(error instanceof Error ? error : new Error(String(error))))),
        );
      });
    });
  }

  /** A client that proved who it is and wants in; it hangs up after `holdMs`, if nobody ends the session before. */
  async serve(ask: Omit<OpenSession, 'broker' | 'protocol'>, holdMs: number): Promise<string> {
    const given = await this.ask('open', ask.waitSeconds * 1000 + 10_000, (gate) => gate.open({ ...ask, protocol: 'postgresql', broker: this.id }, new AbortController().signal));
    if ('refused' in given) return given.refused;
    return await this.#carry(given, holdMs);
  }

  async #carry(ticket: SessionTicket, holdMs: number): Promise<string> {
    const session = new BrokerSession(this, ticket);
    this.sessions.set(ticket.session, session);
    if (this.sessions.size === 1) this.#lastRenewal = this.process.monotonic.now();
    void this.#tick();
    return await session.start(holdMs);
  }

  /** `at`: the monotonic instant from which the order counts. */
  carryOut(order: SessionOrder, at: number): void {
    const session = this.sessions.get(order.session);
    if (!session) return;
    if (order.order === 'cut') return session.end(order.reason);
    session.renewed(at);
    if (order.order === 'deadline') session.moveDeadline(order.remainingMs, at);
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    while (this.sessions.size > 0) {
      await this.process.monotonic.sleep(TICK_MS);
      const now = this.process.monotonic.now();
      let lease = Infinity;
      for (const session of this.sessions.values()) {
        lease = Math.min(lease, session.ticket.leaseMs);
        session.tick(now);
      }
      const due = now - this.#lastRenewal >= Math.min(lease / 3, MOST_BETWEEN_MS);
      if (this.sessions.size > 0 && !this.#renewing && due) void this.#renew(now);
    }
    this.#ticking = false;
  }

  async #renew(asked: number): Promise<void> {
    this.#renewing = true;
    this.#lastRenewal = asked;
    try {
      const orders = await this.ask('renew', RENEW_PATIENCE_MS, (gate) => gate.renew(this.id, [...this.sessions.keys()]));
      for (const order of orders) this.carryOut(order, asked);
    } catch {
      // Not heard: every session counts its own grace.
    } finally {
      this.#renewing = false;
    }
  }

  die(): void {
    this.process.alive = false;
    for (const session of this.sessions.values()) session.hangUp();
  }

  endAll(reason: SessionEndReason): void {
    for (const session of this.sessions.values()) session.end(reason);
  }
}
