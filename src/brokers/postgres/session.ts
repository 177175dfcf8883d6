import type { SessionTicket } from '#app/ports/gate.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { Refusal } from '#domain/refusal.ts';
import { Audit } from './audit.ts';
import type { BrokerContext } from './context.ts';
import { carryOut, renewEvery } from './lease.ts';
import { hangUp, type Leg } from './leg.ts';
import { backendKeyData, frame, speech, type Speech } from './messages.ts';
import { within } from './patience.ts';
import { Recorder } from './recorder.ts';
import { HEADER, VERSION } from './recording-format.ts';
import { Relay } from './relay.ts';
import { cutSpeech, refusalSpeech, warnSpeech } from './speech.ts';
import type { CancelKey } from './startup.ts';
import { cancelUpstream, dialUpstream, type Upstream } from './upstream.ts';
import { upstreamParameters, type Wishes } from './wishes.ts';

const GATE_MS = 5_000;
/** `setTimeout` fires at once beyond 2^31 ms: longer deadlines are looked at again now and then. */
const LONGEST_TIMER_MS = 86_400_000;
/** Each renewal tells the deadline anew, some milliseconds off: only one that moved by more is worth another warning. */
const MOVED_MS = 1_000;
/** How often `gate.ended` is tried; after that the gate sees the lease run out. */
const ENDED_RETRIES_MS = [0, 500, 2_000];

/**
 * One session under a ticket: `starting -> relaying -> ended`. It ends exactly once, whoever is first: the client, the
 * target, the deadline, an order, a lost lease, a failed recorder; and the gate hears `ended` once.
 */
export class Session {
  readonly ticket: SessionTicket;
  /** Resolves when everything is over and reported. */
  readonly over: Promise<void>;
  readonly #context: BrokerContext;
  readonly #client: Leg;
  readonly #wishes: Wishes;
  readonly #began: number;
  readonly #recorder: Recorder;
  readonly #audit: Audit;
  readonly #starting = new AbortController();
  #relay: Relay | null = null;
  #upstream: Upstream | null = null;
  #key: CancelKey | null = null;
  #deadline: number;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #warned = false;
  #renewed: number;
  #ended = false;
  #finished: () => void = () => undefined;

  constructor(context: BrokerContext, client: Leg, wishes: Wishes, ticket: SessionTicket) {
    this.#context = context;
    this.#client = client;
    this.#wishes = wishes;
    this.ticket = ticket;
    this.#began = context.monotonic();
    this.#renewed = this.#began;
    this.#deadline = this.#began + ticket.remainingMs;
    this.#recorder = new Recorder(context.gate, ticket.session, {
      failed: () => this.#recorderFailed(),
      relieved: () => this.#relay?.relieved(),
    });
    this.#audit = new Audit(this.#recorder, ticket.maskLiterals);
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
    context.sessions.set(ticket.session, this);
  }

  /** Signs in on the target, makes sure of the recorder and the gate, and lets the client in. Never throws. */
  async start(): Promise<void> {
    const { ticket } = this;
    this.#client.onGone(() => this.#relay === null && this.#end('client_closed', null));
    this.#watchDeadline();
    if (this.#ended) return;
    this.#writeHeader();
    try {
      const [dialled, recorded] = await Promise.allSettled([
        dialUpstream(ticket.upstream, upstreamParameters(this.#wishes, ticket.upstream), this.#context.random, this.#starting.signal),
        this.#recorder.settle(),
      ]);
      if (dialled.status === 'rejected') throw dialled.reason;
      this.#upstream = dialled.value;
      this.#upstream.leg.onGone(() => this.#relay === null && this.#end('target_closed', null));
      if (recorded.status === 'rejected' || !recorded.value) this.#recorderFailed();
      if (this.#ended) return void this.#upstream.leg.socket.destroy();
      const asked = this.#context.monotonic();
      carryOut(this.#context, await within(GATE_MS, this.#context.gate.started(ticket.session, { pid: this.#upstream.key.pid })), asked);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal('unavailable', 'the session could not be started');
      const said = { refused: refusal.code, message: refusal.message, hint: refusal.details.hint ?? null };
      this.#end('failed_to_start', refusalSpeech(said));
    }
    // Ended while it started, by whomever: what was dialled meanwhile is not to stay.
    if (this.#ended) this.#upstream?.leg.socket.destroy();
    else if (this.#upstream) this.#letIn(this.#upstream);
  }

  #writeHeader(): void {
    const { ticket } = this;
    const header = Buffer.from(JSON.stringify({
      version: VERSION,
      protocol: 'postgresql',
      session: ticket.session,
      grant: ticket.grant,
      principal: ticket.principalName,
      entitlement: ticket.entitlementName,
      database: ticket.upstream.database,
      application: this.#wishes.application,
      masked: ticket.maskLiterals,
      startedAt: new Date(this.#context.now()).toISOString(),
    }));
    this.#recorder.writer.begin(HEADER, 0, header.length);
    this.#recorder.writer.text(header, 0, header.length);
    this.#recorder.flush(true);
  }

  #letIn(upstream: Upstream): void {
    const clock = () => this.#context.monotonic() - this.#began;
    this.#audit.now = clock();
    for (const [name, value] of upstream.parameters) this.#audit.parameter(`${name}\0${value}`);
    this.#key = this.#context.keys.issue(() => cancelUpstream(this.ticket.upstream, upstream.key));
    const relay = new Relay(this.#client, upstream.leg, this.#audit, this.#recorder, clock, {
      clientGone: (politely) => this.#end('client_closed', null, !politely),
      targetGone: () => this.#end(this.#audit.terminated ? 'client_closed' : 'target_closed', null, false),
      mayPass: (now) => this.#mayPass(this.#began + now),
      violated: (by) => this.#end(by === 'target' ? 'target_closed' : 'client_closed', VIOLATION[by]),
    });
    this.#relay = relay;
    const ready = frame('Z', Buffer.from('I'));
    this.#client.socket.write(Buffer.concat([upstream.greeting, backendKeyData(this.#key.pid, this.#key.secret), ready]));
    relay.start();
    // A warning may have been due before there was anybody to hear it.
    this.#watchDeadline();
  }

  /** Ends the session from outside, with words for the client. */
  cut(reason: SessionEndReason, message: string | null): void {
    this.#end(reason, cutSpeech(reason, message, new Date(this.#context.now())));
  }

  #recorderFailed(): void {
    if (this.#relay) return this.cut('recorder_failed', null);
    this.#end('recorder_failed', refusalSpeech({ refused: 'recorder_unavailable', message: 'the session can not be recorded', hint: null }));
  }

  /** Moves the deadline: `remainingMs` counted from the monotonic instant `from`. */
  moveDeadline(remainingMs: number, from: number): void {
    if (!Number.isFinite(remainingMs)) return this.cut('deadline', null);
    const deadline = from + remainingMs;
    if (deadline - this.#deadline > MOVED_MS) this.#warned = false;
    this.#deadline = deadline;
    this.#watchDeadline();
  }

  /** The gate has said at the monotonic instant `at` that the session may go on. */
  renewed(at: number): void {
    this.#renewed = Math.max(this.#renewed, at);
  }

  /** Called several times a second. */
  tick(now: number): void {
    if (!this.#mayPass(now)) return;
    this.#audit.now = now - this.#began;
    this.#audit.tick();
    this.#recorder.flush(this.#recorder.writer.size < 8192);
  }

  #mayPass(now: number): boolean {
    if (now >= this.#deadline) this.cut('deadline', null);
    else if (now > this.#lostAt()) this.cut('control_plane_lost', null);
    return !this.#ended;
  }

  /**
   * The grace counts from the renewal that should have come and did not, whether it fails, hangs or was never asked. However
   * short the grace, an answer has as long as there is between two renewals: it must not cut what is well.
   */
  #lostAt(): number {
    const every = renewEvery(this.ticket.leaseMs);
    return this.#renewed + every + Math.max(every, this.ticket.graceMs);
  }

  /** One timer, for whatever comes first: a warning, the deadline, or another look at a distant one. */
  #watchDeadline(): void {
    clearTimeout(this.#deadlineTimer);
    if (this.#ended) return;
    const left = this.#deadline - this.#context.monotonic();
    if (left <= 0) return this.cut('deadline', null);
    const warn = this.ticket.endMode === 'warn_then_cut' && !this.#warned ? left - this.ticket.warnMs : Infinity;
    if (warn <= 0 && this.#relay) {
      this.#warned = true;
      this.#relay.say(speech(warnSpeech(left)));
    }
    const next = warn > 0 ? Math.min(left, warn) : left;
    this.#deadlineTimer = setTimeout(() => this.#watchDeadline(), Math.min(Math.ceil(next), LONGEST_TIMER_MS));
  }

  /** The one way out. `cancel`: whether a statement that still runs on the target is to be ended there as well. */
  #end(reason: SessionEndReason, words: Speech | null, cancel = true): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#deadlineTimer);
    this.#starting.abort();
    if (this.#key) this.#context.keys.revoke(this.#key);
    const bytes = words ? speech(words) : null;
    if (this.#relay) {
      const upstream = this.#upstream;
      if (cancel && upstream && this.#audit.busy) void cancelUpstream(this.ticket.upstream, upstream.key);
      this.#relay.close(bytes);
    } else {
      this.#upstream?.leg.socket.destroy();
      if (bytes) this.#client.socket.write(bytes);
      hangUp(this.#client.socket);
    }
    void this.#report(reason);
  }

  /** Flushes the recording's tail and tells the gate. */
  async #report(reason: SessionEndReason): Promise<void> {
    const { session } = this.ticket;
    this.#audit.now = this.#context.monotonic() - this.#began;
    this.#audit.end(reason);
    this.#recorder.flush(true);
    await this.#recorder.settle();
    const counters = { statements: this.#audit.statements, bytesIn: this.#audit.bytesIn, bytesOut: this.#audit.bytesOut };
    for (const [attempt, ms] of ENDED_RETRIES_MS.entries()) {
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      try {
        await within(GATE_MS, this.#context.gate.ended({ session, reason, counters }));
        break;
      } catch {
        this.#context.log('warn', 'the gate did not take the end of a session', { session, attempt });
      }
    }
    this.#context.sessions.delete(session);
    this.#finished();
  }
}

const VIOLATION: Readonly<Record<'client' | 'target' | 'text', Speech>> = {
  client: { severity: 'FATAL', code: '08P01', message: 'Brevet: the client does not keep to the PostgreSQL protocol' },
  text: {
    severity: 'FATAL', code: '22025', message: 'Brevet: this statement can be read in two ways and can not be recorded',
    hint: "Where backslashes stand in strings, write E'\\\\', and send it when the statements before it are done.",
  },
  target: { severity: 'FATAL', code: '08P01', message: 'Brevet: the target does not keep to the PostgreSQL protocol' },
};
