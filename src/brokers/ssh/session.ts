import type { SessionEnd, SessionTicket, SshUpstream } from '#app/ports/gate.ts';
import type { JsonObject } from '#domain/json.ts';
import type { SessionEndReason } from '#domain/lifecycle.ts';
import { CarriedSession, type Carrier, type LastWords } from '../carried/carried-session.ts';
import type { BrokerContext } from '../carried/context.ts';
import { warnWords, type Words } from '../carried/words.ts';
import type { Proven } from './client-auth.ts';
import type { Visitor } from './doorway.ts';
import { Forwards } from './forwards.ts';
import { readRules, USUAL_RULES, type MaskRules } from './mask-rules.ts';
import { SshRecordingWriter } from './recording-writer.ts';
import { SessionChannel } from './session-channel.ts';
import { lineOf, linesOf, refusalWords } from './speech.ts';
import { Tracks, type Life } from './tracks.ts';
import { dialTarget, type Target } from './upstream.ts';

/** The last words on the client's channels reach it before the connection's end, and what runs on the target hears that it is to end. */
const PART_MS = 200;
const LINGER_MS = 400;
/** Requests of these kinds only tell how a client behaves, or ask whether somebody is there: servers refuse them. */
const HARMLESS = ['keepalive@openssh.com', 'eow@openssh.com', 'winadj@putty.projects.tartarus.org', 'simple@putty.projects.tartarus.org'];

let usual: MaskRules | null = null;
/** Made when the first session begins: it takes some tens of milliseconds. */
const usualRules = (): MaskRules => (usual ??= readRules(USUAL_RULES));

/** What SSH does for a session; how it lives and ends is the same in all protocols. One client's connection is one session. */
export class SshSession implements Carrier<Words> {
  readonly #context: BrokerContext;
  readonly #visitor: Visitor;
  readonly #proven: Proven;
  readonly #ticket: SessionTicket<SshUpstream>;
  readonly #life: Life;
  #target: Target | null = null;
  #tracks: Tracks | null = null;

  constructor(context: BrokerContext, visitor: Visitor, proven: Proven, ticket: SessionTicket<SshUpstream>) {
    this.#context = context;
    this.#visitor = visitor;
    this.#proven = proven;
    this.#ticket = ticket;
    this.#life = new CarriedSession(context, ticket, new SshRecordingWriter({ rules: usualRules() }), this);
  }

  /** Carries the session; answers when the client is let in, or is not to be. Never throws. */
  async start(): Promise<void> {
    this.#visitor.onGone(() => this.#life.end('client_closed', null));
    await this.#life.start();
  }

  writeHeader(): void {
    const ticket = this.#ticket;
    this.#life.recorder.writer.header({
      protocol: 'ssh',
      session: ticket.session,
      grant: ticket.grant,
      principal: ticket.principalName,
      entitlement: ticket.entitlementName,
      account: ticket.upstream.user,
      application: this.#visitor.software,
      masked: ticket.maskLiterals,
      startedAt: new Date(this.#context.now()).toISOString(),
    });
  }

  async dial(signal: AbortSignal): Promise<JsonObject> {
    const { session, upstream } = this.#ticket;
    const alarm = (shown: string | null) => this.#context.log('error', 'a target shows another host key than the one it was enrolled with', { session, shown, host: upstream.host, port: upstream.port });
    const target = await dialTarget(upstream, alarm, signal);
    this.#target = target;
    target.onGone(() => this.#life.end('target_closed', { own: { message: 'Brevet: the target has closed the connection', hint: null } }));
    return { from: target.socket.localAddress ?? null, port: target.socket.localPort ?? null };
  }

  letIn(): void {
    const { client } = this.#visitor;
    const tracks = new Tracks(this.#life, this.#visitor, this.#target as Target, this.#ticket.upstream.permits, this.#proven.allows);
    this.#tracks = tracks;
    client.on('session', (accept, reject) => {
      if (!tracks.isFull) return new SessionChannel(tracks).serve(accept());
      tracks.refused('session');
      reject();
    });
    client.on('openssh.streamlocal', (_accept, reject, { socketPath }: { socketPath: string }) => {
      tracks.refused('streamlocal', { socketPath });
      reject();
    });
    client.on('refused', (what, type) => HARMLESS.includes(type) || tracks.refused(what, { type }));
    new Forwards(tracks).serve();
    this.#proven.accept();
  }

  warn(remainingMs: number): void {
    this.#tracks?.say(`\r\n${linesOf(warnWords(remainingMs))}`);
  }

  tick(): void {}

  relieved(): void {
    this.#tracks?.wake();
  }

  close(words: LastWords<Words> | null): void {
    if (!this.#tracks) {
      this.#target?.socket.destroy();
      if (words) this.#proven.refuse(wordsOf(words));
      else this.#visitor.raw.destroy();
      return;
    }
    const { client, raw } = this.#visitor;
    const { socket, client: target } = this.#target as Target;
    this.#tracks.close(words !== null, words && `\r\n${linesOf(wordsOf(words))}`);
    setTimeout(() => {
      client.end(words ? lineOf(wordsOf(words)) : undefined);
      target.end();
      // What the client still sends is read and dropped: unread bytes would turn the end into a reset, and words would be lost.
      raw.resume();
      setTimeout(() => {
        raw.destroy();
        socket.destroy();
      }, LINGER_MS);
    }, PART_MS);
  }

  finish(reason: SessionEndReason, now: number): SessionEnd['counters'] {
    const { writer } = this.#life.recorder;
    writer.tick(now);
    writer.end(reason);
    return { statements: this.#tracks?.started ?? 0, bytesIn: this.#tracks?.bytesIn ?? 0, bytesOut: this.#tracks?.bytesOut ?? 0 };
  }
}

function wordsOf(words: LastWords<Words>): Words {
  if ('own' in words) return words.own;
  return 'cut' in words ? words.cut : refusalWords(words.refusal);
}
