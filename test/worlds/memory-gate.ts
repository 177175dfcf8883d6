/** The gate's port kept in memory: the double that broker tests speak to. It decides as a test tells it. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Gate, GateRefusal, OpenSession, PostgresUpstream, RecordingChunk, ScramVerifier, SessionEnd, SessionOrder, SessionTicket, Upstream } from '#app/ports/gate.ts';
import { makeId, type BrokerId, type SessionId } from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';

export interface MemoryToken {
  readonly handle: string;
  readonly secret: string;
}

/** What every ticket says, but for its ids. */
export type TicketTerms<To extends Upstream = PostgresUpstream> = Omit<SessionTicket<To>, 'session' | 'grant'>;

export class MemoryGate<To extends Upstream = PostgresUpstream> implements Gate {
  terms: TicketTerms<To>;
  /** Takes the place of a ticket; may wait, may refuse. */
  decide: ((ask: OpenSession, signal: AbortSignal) => Promise<GateRefusal | null>) | null = null;
  /** Whether a token opens one session only. Benchmarks and pgbench need more. */
  oneTime = true;
  /** Whether chunks are kept after they are acknowledged. */
  keepsRecordings = true;
  /** The gate does not answer renewals, or refuses records. */
  renewFails = false;
  /** Renewals are neither answered nor refused. */
  renewHangs = false;
  recordFails = false;
  /** Runs before `started` answers. */
  onStarted: (() => Promise<void>) | null = null;
  /** What `started` says of the time that is left, in ms. */
  leftAtStart: number | null = null;
  readonly asked: OpenSession[] = [];
  readonly tickets: SessionTicket<To>[] = [];
  readonly startedWith: { session: SessionId; facts: JsonObject }[] = [];
  readonly ends: SessionEnd[] = [];
  readonly chunks = new Map<SessionId, Uint8Array[]>();
  readonly live = new Set<SessionId>();
  readonly certificates = new Set<string>();
  renewals = 0;
  readonly #tokens = new Map<string, { verifier: ScramVerifier; spent: boolean }>();
  readonly #listeners = new Set<(order: SessionOrder) => void>();
  readonly #madeUp = randomBytes(32);

  constructor(terms: TicketTerms<To>) {
    this.terms = terms;
  }

  issueToken(): MemoryToken {
    const handle = `tok_${randomBytes(8).toString('hex')}`;
    const secret = randomBytes(18).toString('base64url');
    this.#tokens.set(handle, { verifier: verifierOf(secret, randomBytes(16)), spent: false });
    return { handle, secret };
  }

  order(order: SessionOrder): void {
    for (const listener of this.#listeners) listener(order);
  }

  get lastSession(): SessionId {
    return (this.tickets.at(-1) as SessionTicket<To>).session;
  }

  recording(session: SessionId): Uint8Array[] {
    return this.chunks.get(session) ?? [];
  }

  async tokenVerifier(handle: string): Promise<ScramVerifier> {
    const known = this.#tokens.get(handle)?.verifier;
    if (known) return known;
    const made = createHmac('sha256', this.#madeUp).update(handle).digest();
    return verifierOf(made.toString('hex'), made.subarray(0, 16));
  }

  async open(ask: OpenSession, signal: AbortSignal): Promise<SessionTicket | GateRefusal> {
    this.asked.push(ask);
    if (ask.proof.by === 'token') {
      const token = this.#tokens.get(ask.proof.handle);
      if (!token || (token.spent && this.oneTime)) return { refused: 'token_spent', message: 'this token was used already', hint: null };
      token.spent = true;
    } else if (!this.certificates.has(ask.proof.subject)) {
      return { refused: 'unauthenticated', message: 'nobody has this certificate', hint: null };
    }
    const refusal = (await this.decide?.(ask, signal)) ?? null;
    if (refusal) return refusal;
    const { upstream } = this.terms;
    const ticket = {
      ...this.terms,
      session: makeId('session', Date.now(), randomBytes(10)),
      grant: makeId('grant', Date.now(), randomBytes(10)),
      upstream: upstream.protocol === 'postgresql' ? { ...upstream, database: ask.within ?? upstream.database } : upstream,
    };
    this.tickets.push(ticket);
    this.live.add(ticket.session);
    return ticket;
  }

  async started(session: SessionId, facts: JsonObject): Promise<SessionOrder> {
    await this.onStarted?.();
    this.startedWith.push({ session, facts });
    return this.leftAtStart === null ? { session, order: 'go_on' } : { session, order: 'deadline', remainingMs: this.leftAtStart };
  }

  async renew(_: BrokerId, sessions: readonly SessionId[]): Promise<readonly SessionOrder[]> {
    if (this.renewFails) throw new Error('the gate is down');
    if (this.renewHangs) return await new Promise(() => undefined);
    this.renewals += 1;
    return sessions.map((session) =>
      this.live.has(session) ? { session, order: 'go_on' } : { session, order: 'cut', reason: 'grant_ended', message: 'unknown session' },
    );
  }

  async record(chunk: RecordingChunk): Promise<void> {
    if (this.recordFails) throw new Error('the recorder is down');
    if (!this.keepsRecordings) return;
    const all = this.chunks.get(chunk.session) ?? [];
    if (chunk.seq > all.length) throw new Error('a gap in the recording');
    if (chunk.seq === all.length) all.push(Uint8Array.from(chunk.bytes));
    this.chunks.set(chunk.session, all);
  }

  async ended(end: SessionEnd): Promise<void> {
    this.ends.push(end);
    this.live.delete(end.session);
  }

  onOrder(listener: (order: SessionOrder) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function verifierOf(secret: string, salt: Uint8Array): ScramVerifier {
  const salted = pbkdf2Sync(secret, salt, 4096, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  return {
    iterations: 4096,
    salt: Buffer.from(salt).toString('base64'),
    storedKey: createHash('sha256').update(hmac('Client Key')).digest('base64'),
    serverKey: hmac('Server Key').toString('base64'),
  };
}
