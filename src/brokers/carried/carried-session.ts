import type { GateRefusal, SessionEnd, SessionTicket } from '#app/ports/gate.ts';
import type { JsonObject } from '#domain/json.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { Refusal } from '#domain/refusal.ts';
import type { BrokerContext, Carried } from './context.ts';
import { carryOut, renewEvery } from './lease.ts';
import { within } from './patience.ts';
import { Recorder, type ChunkWriter } from './recorder.ts';
import { cutWords, type Words } from './words.ts';

const GATE_MS = 5_000;
/** `setTimeout` fires at once beyond 2^31 ms: longer deadlines are looked at again now and then. */
const LONGEST_TIMER_MS = 86_400_000;
/** Each renewal tells the deadline anew, some milliseconds off: only one that moved by more is worth another warning. */
const MOVED_MS = 1_000;
/** How often `gate.ended` is tried; after that the gate sees the lease run out. */
const ENDED_RETRIES_MS = [0, 500, 2_000];
/** A writer that holds more than this will soon be asked for another chunk. */
const IDLE_BYTES = 8192;

/** What the client hears at the end: that it is not let in, why it is cut, or something of the protocol's own. */
export type LastWords<Own> = { readonly refusal: GateRefusal } | { readonly cut: Words } | { readonly own: Own };

/** What a protocol does for a session. Times in ms are counted from when the session began. */
export interface Carrier<Own> {
  /** Writes the recording's header. */
  writeHeader(): void;
  /**
   * Signs in on the target and answers facts by which the session can be found there. When `signal` fires, what was opened is
   * closed before this rejects. @throws Refusal
   */
  dial(signal: AbortSignal): Promise<JsonObject>;
  /** Tells the client that it is in; from now on bytes pass. Not called when anything has ended the session before. */
  letIn(): void;
  /** Tells the client that the session will be cut. */
  warn(remainingMs: number): void;
  /** Several times a second, to write what only time tells. */
  tick(now: number): void;
  /** Ends both connections, and what runs on the target: called once, before or after `letIn`, while or after dialling. */
  close(words: LastWords<Own> | null): void;
  /** Closes the recording and counts up. */
  finish(reason: SessionEndReason, now: number): SessionEnd['counters'];
  /** The recorder has room again. */
  relieved(): void;
}

/**
 * One session under a ticket, whatever its protocol: `starting -> carrying -> ended`. It ends exactly once, whoever is first: the
 * client, the target, the deadline, an order, a lost lease, a failed recorder; and the gate hears `ended` once.
 */
export class CarriedSession<Writer extends ChunkWriter, Own = never> implements Carried {
  readonly ticket: SessionTicket;
  readonly over: Promise<void>;
  readonly recorder: Recorder<Writer>;
  readonly #context: BrokerContext;
  readonly #carrier: Carrier<Own>;
  readonly #began: number;
  readonly #starting = new AbortController();
  #deadline: number;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #warned = false;
  #renewed: number;
  #isIn = false;
  #ended = false;
  #finished: () => void = () => undefined;

  constructor(context: BrokerContext, ticket: SessionTicket, writer: Writer, carrier: Carrier<Own>) {
    this.#context = context;
    this.#carrier = carrier;
    this.ticket = ticket;
    this.#began = context.monotonic();
    this.#renewed = this.#began;
    this.#deadline = this.#began + ticket.remainingMs;
    this.recorder = new Recorder(writer, context.gate, ticket.session, {
      failed: () => this.#recorderFailed(),
      relieved: () => this.#carrier.relieved(),
    });
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
    context.sessions.set(ticket.session, this);
  }

  /** Milliseconds since the session began. */
  get now(): number {
    return this.#context.monotonic() - this.#began;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the client has been let in. */
  get isIn(): boolean {
    return this.#isIn;
  }

  /** Signs in on the target, makes sure of the recorder and the gate, and lets the client in. Never throws. */
  async start(): Promise<void> {
    this.#watchDeadline();
    if (this.#ended) return;
    this.#carrier.writeHeader();
    this.recorder.flush(true);
    try {
      const [dialled, recorded] = await Promise.allSettled([this.#carrier.dial(this.#starting.signal), this.recorder.settle()]);
      if (dialled.status === 'rejected') throw dialled.reason;
      if (recorded.status === 'rejected' || !recorded.value) this.#recorderFailed();
      if (this.#ended) return;
      const asked = this.#context.monotonic();
      carryOut(this.#context, await within(GATE_MS, this.#context.gate.started(this.ticket.session, dialled.value)), asked);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal('unavailable', 'the session could not be started');
      this.end('failed_to_start', { refusal: { refused: refusal.code, message: refusal.message, hint: refusal.details.hint ?? null } });
    }
    // It may have ended while it started, by whomever: then all is closed already.
    if (this.#ended) return;
    this.#isIn = true;
    this.#carrier.letIn();
    // A warning may have been due before there was anybody to hear it.
    this.#watchDeadline();
  }

  cut(reason: SessionEndReason, message: string | null): void {
    this.end(reason, { cut: cutWords(reason, message, new Date(this.#context.now())) });
  }

  #recorderFailed(): void {
    if (this.#isIn) return this.cut('recorder_failed', null);
    this.end('recorder_failed', { refusal: { refused: 'recorder_unavailable', message: 'the session can not be recorded', hint: null } });
  }

  moveDeadline(remainingMs: number, from: number): void {
    if (!Number.isFinite(remainingMs)) return this.cut('deadline', null);
    const deadline = from + remainingMs;
    if (deadline - this.#deadline > MOVED_MS) this.#warned = false;
    this.#deadline = deadline;
    this.#watchDeadline();
  }

  renewed(at: number): void {
    this.#renewed = Math.max(this.#renewed, at);
  }

  tick(now: number): void {
    if (!this.#mayPass(now)) return;
    this.#carrier.tick(now - this.#began);
    this.recorder.flush(this.recorder.writer.size < IDLE_BYTES);
  }

  /** Whether what a client sent may still pass at this instant; cuts the session when not. */
  mayPass(): boolean {
    return this.#mayPass(this.#context.monotonic());
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
    if (warn <= 0 && this.#isIn) {
      this.#warned = true;
      this.#carrier.warn(left);
    }
    const next = warn > 0 ? Math.min(left, warn) : left;
    this.#deadlineTimer = setTimeout(() => this.#watchDeadline(), Math.min(Math.ceil(next), LONGEST_TIMER_MS));
  }

  /** The one way out. */
  end(reason: SessionEndReason, words: LastWords<Own> | null): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#deadlineTimer);
    this.#starting.abort();
    this.#carrier.close(words);
    void this.#report(reason);
  }

  /** Flushes the recording's tail and tells the gate. */
  async #report(reason: SessionEndReason): Promise<void> {
    const { session } = this.ticket;
    const counters = this.#carrier.finish(reason, this.now);
    this.recorder.flush(true);
    await this.recorder.settle();
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
