import type { PostgresUpstream, SessionEnd, SessionTicket } from '#app/ports/gate.ts';
import type { JsonObject } from '#domain/json.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { CarriedSession, type Carrier, type LastWords } from '../carried/carried-session.ts';
import { hangUp } from '../carried/hang-up.ts';
import { Audit } from './audit.ts';
import type { PostgresContext } from './context.ts';
import { LegClosed, type Leg } from './leg.ts';
import { backendKeyData, frame, speech, type Speech } from './messages.ts';
import { HEADER, VERSION } from './recording-format.ts';
import { RecordingWriter } from './recording-writer.ts';
import { Relay } from './relay.ts';
import { cutSpeech, refusalSpeech, warnSpeech } from './speech.ts';
import type { CancelKey } from './startup.ts';
import { cancelUpstream, dialUpstream, type Upstream } from './upstream.ts';
import { upstreamParameters, type Wishes } from './wishes.ts';

/** What PostgreSQL's protocol does for a session; how it lives and ends is the same in all of them. */
export class PostgresSession implements Carrier<Speech> {
  readonly #context: PostgresContext;
  readonly #client: Leg;
  readonly #wishes: Wishes;
  readonly #ticket: SessionTicket<PostgresUpstream>;
  readonly #life: CarriedSession<RecordingWriter, Speech>;
  readonly #audit: Audit;
  #relay: Relay | null = null;
  #upstream: Upstream | null = null;
  #key: CancelKey | null = null;
  /** Whether a statement that still runs on the target at the end is to be ended there as well. */
  #cancels = true;

  constructor(context: PostgresContext, client: Leg, wishes: Wishes, ticket: SessionTicket<PostgresUpstream>) {
    this.#context = context;
    this.#client = client;
    this.#wishes = wishes;
    this.#ticket = ticket;
    this.#life = new CarriedSession(context, ticket, new RecordingWriter(), this);
    this.#audit = new Audit(this.#life.recorder, ticket.maskLiterals);
  }

  /** Carries the session; answers when the client is let in, or is not to be. Never throws. */
  async start(): Promise<void> {
    this.#client.onGone(() => this.#relay === null && this.#life.end('client_closed', null));
    await this.#life.start();
  }

  writeHeader(): void {
    const ticket = this.#ticket;
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
    const { writer } = this.#life.recorder;
    writer.begin(HEADER, 0, header.length);
    writer.text(header, 0, header.length);
  }

  async dial(signal: AbortSignal): Promise<JsonObject> {
    const { upstream } = this.#ticket;
    const dialled = await dialUpstream(upstream, upstreamParameters(this.#wishes, upstream), this.#context.random, signal);
    if (signal.aborted) {
      dialled.leg.socket.destroy();
      throw new LegClosed('the session is over');
    }
    this.#upstream = dialled;
    dialled.leg.onGone(() => this.#relay === null && this.#life.end('target_closed', null));
    return { pid: dialled.key.pid };
  }

  letIn(): void {
    const life = this.#life;
    const upstream = this.#upstream as Upstream;
    const clock = () => life.now;
    this.#audit.now = clock();
    for (const [name, value] of upstream.parameters) this.#audit.parameter(`${name}\0${value}`);
    this.#key = this.#context.keys.issue(() => cancelUpstream(this.#ticket.upstream, upstream.key));
    const relay = new Relay(this.#client, upstream.leg, this.#audit, life.recorder, clock, {
      clientGone: (politely) => this.#gone('client_closed', !politely),
      targetGone: () => this.#gone(this.#audit.terminated ? 'client_closed' : 'target_closed', false),
      mayPass: () => life.mayPass(),
      violated: (by) => life.end(by === 'target' ? 'target_closed' : 'client_closed', { own: VIOLATION[by] }),
    });
    this.#relay = relay;
    const ready = frame('Z', Buffer.from('I'));
    this.#client.socket.write(Buffer.concat([upstream.greeting, backendKeyData(this.#key.pid, this.#key.secret), ready]));
    relay.start();
  }

  warn(remainingMs: number): void {
    this.#relay?.say(speech(warnSpeech(remainingMs)));
  }

  tick(now: number): void {
    this.#audit.now = now;
    this.#audit.tick();
  }

  relieved(): void {
    this.#relay?.relieved();
  }

  close(words: LastWords<Speech> | null): void {
    if (this.#key) this.#context.keys.revoke(this.#key);
    const bytes = words ? speech(speechOf(words)) : null;
    const upstream = this.#upstream;
    if (this.#relay) {
      if (this.#cancels && upstream && this.#audit.busy) void cancelUpstream(this.#ticket.upstream, upstream.key);
      this.#relay.close(bytes);
    } else {
      upstream?.leg.socket.destroy();
      if (bytes) this.#client.socket.write(bytes);
      hangUp(this.#client.socket);
    }
  }

  finish(reason: SessionEndReason, now: number): SessionEnd['counters'] {
    const audit = this.#audit;
    audit.now = now;
    audit.end(reason);
    return { statements: audit.statements, bytesIn: audit.bytesIn, bytesOut: audit.bytesOut };
  }

  #gone(reason: SessionEndReason, cancels: boolean): void {
    this.#cancels = cancels;
    this.#life.end(reason, null);
  }
}

function speechOf(words: LastWords<Speech>): Speech {
  if ('own' in words) return words.own;
  return 'cut' in words ? cutSpeech(words.cut) : refusalSpeech(words.refusal);
}

const VIOLATION: Readonly<Record<'client' | 'target' | 'text', Speech>> = {
  client: { severity: 'FATAL', code: '08P01', message: 'Brevet: the client does not keep to the PostgreSQL protocol' },
  text: {
    severity: 'FATAL', code: '22025', message: 'Brevet: this statement can be read in two ways and can not be recorded',
    hint: "Where backslashes stand in strings, write E'\\\\', and send it when the statements before it are done.",
  },
  target: { severity: 'FATAL', code: '08P01', message: 'Brevet: the target does not keep to the PostgreSQL protocol' },
};
