import type { SessionTicket } from '#app/ports/gate.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import type { SimBroker } from './broker.ts';
import type { SimTarget } from './target.ts';

const GATE_MS = 5_000;
const ENDED_RETRIES_MS = [0, 500, 2_000];

/** One session under a ticket, by the rules of src/brokers/carried/carried-session.ts: it ends once, whoever is first. */
export class BrokerSession {
  readonly ticket: SessionTicket;
  readonly broker: SimBroker;
  readonly target: SimTarget | null;
  pid: number | null = null;
  /** Whether bytes go through. */
  open = false;
  #ended = false;
  #deadline: number;
  #renewed: number;
  #moved = new AbortController();

  constructor(broker: SimBroker, ticket: SessionTicket) {
    this.broker = broker;
    this.ticket = ticket;
    this.target = broker.world.targets.find(({ name }) => name === ticket.upstream.host) ?? null;
    this.#renewed = broker.process.monotonic.now();
    this.#deadline = this.#renewed + ticket.remainingMs;
    void this.#watchDeadline();
  }

  /** Answers how it went: `open`, or why not. */
  async start(holdMs: number): Promise<string> {
    const { broker, ticket } = this;
    try {
      await Promise.all([this.#dial(), broker.ask('record', GATE_MS, (gate) => gate.record({ session: ticket.session, seq: 0, bytes: Buffer.from('header'), events: 0 }))]);
      if (!this.#ended) {
        const asked = broker.process.monotonic.now();
        const order = await broker.ask('started', GATE_MS, (gate) => gate.started(ticket.session, { pid: this.pid }));
        broker.carryOut(order, asked);
      }
    } catch (error) {
      this.end('failed_to_start');
      return `failed_to_start: ${String(error)}`;
    }
    if (this.#ended) {
      this.hangUp();
      return 'ended while it started';
    }
    this.open = true;
    void broker.process.monotonic.sleep(holdMs).then(() => this.end('client_closed'));
    return 'open';
  }

  async #dial(): Promise<void> {
    const { process, world } = this.broker;
    await process.wait('dial', process.rng.between(3, 30));
    if (!this.target || this.target.down || world.network.cutUntil(this.broker.name, this.target.name) > 0) throw new Error('the target does not answer');
    const { upstream } = this.ticket;
    if (upstream.protocol !== 'postgresql') throw new Error('simulated targets speak PostgreSQL');
    this.pid = this.target.signIn(process, upstream.user, upstream.password).pid;
    if (this.#ended) this.hangUp();
  }

  renewed(at: number): void {
    this.#renewed = Math.max(this.#renewed, at);
  }

  moveDeadline(remainingMs: number, from: number): void {
    this.#deadline = from + remainingMs;
    this.#moved.abort();
    this.#moved = new AbortController();
    void this.#watchDeadline();
  }

  async #watchDeadline(): Promise<void> {
    const { monotonic } = this.broker.process;
    const { signal } = this.#moved;
    await monotonic.sleep(Math.max(0, this.#deadline - monotonic.now()), signal);
    if (!signal.aborted) this.end('deadline');
  }

  tick(now: number): void {
    if (now - this.#renewed > this.ticket.graceMs) this.end('control_plane_lost');
    else if (this.open && this.target && this.pid !== null && !this.target.backends.has(this.pid)) this.end('target_closed');
  }

  end(reason: SessionEndReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.open = false;
    this.#moved.abort();
    this.broker.world.scheduler.tell(`${this.broker.name} ends ${this.ticket.session}: ${reason}`);
    this.broker.world.touched();
    this.hangUp();
    void this.#report(reason);
  }

  /** The connection to the target closes; one that can't be told stands there until it is ended. */
  hangUp(): void {
    this.open = false;
    const { network, scheduler } = this.broker.world;
    const { target, pid } = this;
    if (!target || pid === null) return;
    const cut = network.cutUntil(this.broker.name, target.name);
    scheduler.at(Math.max(cut, scheduler.now) + 1, 'step', 'hangs up', null, () => target.end(pid));
  }

  async #report(reason: SessionEndReason): Promise<void> {
    const { broker, ticket } = this;
    for (const ms of ENDED_RETRIES_MS) {
      if (ms > 0) await broker.process.monotonic.sleep(ms);
      const told = await broker.ask('ended', GATE_MS, (gate) => gate.ended({ session: ticket.session, reason, counters: { statements: 1, bytesIn: 1, bytesOut: 1 } })).then(() => true, () => false);
      if (told) break;
    }
    broker.sessions.delete(ticket.session);
  }
}
