import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { SshPermits } from '#app/ports/gate.ts';
import type { JsonObject } from '#domain/json.ts';
import type { CarriedSession } from '../carried/carried-session.ts';
import type { Words } from '../carried/words.ts';
import type { Proven } from './client-auth.ts';
import type { PatchedConnection } from './patched-ssh2.ts';
import type { SshRecordingWriter } from './recording-writer.ts';
import { Flow, type FlowEvents } from './relay.ts';
import type { Target } from './upstream.ts';

/** Channels of one connection at once: a browser behind `-D` opens dozens. Each may hold a window (2 MiB) in each direction. */
const MOST_CHANNELS = 128;
/** Whoever asks more often than this for what is refused does nothing else. */
const MOST_REFUSED = 1000;
/** A stranger's words in the recording. */
const LONGEST_DETAIL = 200;

export type Life = CarriedSession<SshRecordingWriter, Words>;

/** One thing of a session's that is open: a program, a forwarded connection, a port that is listened on. */
export interface Track {
  /** Tells the person on it something, if there is one. */
  say(text: string): void;
  /** Ends it on both sides, as far as it is open. At a cut what runs on the target is to end too, at once. */
  close(cut: boolean, text: string | null): void;
}

/** What all channels of a session share: both connections, the recording, the flows and what is counted. */
export class Tracks {
  readonly client: PatchedConnection;
  readonly clientSocket: Socket;
  readonly target: Target;
  readonly permits: SshPermits;
  readonly allows: Proven['allows'];
  readonly #life: Life;
  readonly #open = new Map<number, Track>();
  readonly #flows = new Set<Flow>();
  #next = 0;
  /** Session channels on which nothing runs yet. */
  #waiting = 0;
  #refused = 0;
  /** Programs started and connections forwarded. */
  started = 0;
  bytesIn = 0;
  bytesOut = 0;

  constructor(life: Life, client: { readonly client: PatchedConnection; readonly raw: Socket }, target: Target, permits: SshPermits, allows: Proven['allows']) {
    this.#life = life;
    this.client = client.client;
    this.clientSocket = client.raw;
    this.target = target;
    this.permits = permits;
    this.allows = allows;
    const wake = () => this.wake();
    this.clientSocket.on('drain', wake);
    target.socket.on('drain', wake);
  }

  get isFull(): boolean {
    return this.#open.size + this.#waiting >= MOST_CHANNELS;
  }

  /** Counts in a channel on which nothing runs yet; answers how to count it out, any number of times. */
  wait(): () => void {
    let waits = true;
    this.#waiting += 1;
    return () => {
      if (waits) this.#waiting -= 1;
      waits = false;
    };
  }

  /** Counts a track in; its number is used once in a session. */
  open(track: Track): number {
    const number = this.#next++;
    this.#open.set(number, track);
    this.started += 1;
    return number;
  }

  /** Counts a track out: bytes that the client sent, and that it got. */
  closed(number: number, bytesIn: number, bytesOut: number): void {
    if (!this.#open.delete(number)) return;
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
    this.record((recording) => recording.closed(number, bytesIn, bytesOut));
  }

  /** Writes into the recording what happens now. A recording that can't be written ends the session. */
  record(write: (recording: SshRecordingWriter) => void): void {
    const { recorder } = this.#life;
    recorder.writer.tick(this.#life.now);
    try {
      write(recorder.writer);
    } catch {
      return this.#life.cut('recorder_failed', null);
    }
    recorder.wrote();
  }

  /** Records that something was not allowed. */
  refused(what: string, detail: JsonObject = {}): void {
    const short = Object.fromEntries(Object.entries(detail).map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, LONGEST_DETAIL) : value]));
    const number = this.#next++;
    this.record((recording) => {
      recording.opened(number, 'refused', { asked: what.slice(0, LONGEST_DETAIL), ...short });
      recording.closed(number, 0, 0);
    });
    if (++this.#refused > MOST_REFUSED) this.#life.end('client_closed', { own: { message: 'Brevet: too much was asked for that is not allowed', hint: null } });
  }

  /** Carries what the client sends: nothing of it passes once the session is due. */
  fromClient(from: Readable, to: Writable, look: (bytes: Buffer) => void, ended: () => void): Flow {
    const pass = (bytes: Buffer) => {
      // A process that stood still over the deadline may hear of what came meanwhile before its timers fire.
      if (!this.#life.mayPass()) return false;
      look(bytes);
      return !this.#life.ended;
    };
    return this.#flow(from, to, this.target.socket, { pass, ended });
  }

  toClient(from: Readable, to: Writable, look: (bytes: Buffer) => void, ended: () => void): Flow {
    const pass = (bytes: Buffer) => {
      look(bytes);
      return !this.#life.ended;
    };
    return this.#flow(from, to, this.clientSocket, { pass, ended });
  }

  #flow(from: Readable, to: Writable, socket: Socket, events: FlowEvents): Flow {
    const flow = new Flow(from, to, socket, this.#life.recorder, events);
    this.#flows.add(flow);
    return flow;
  }

  forget(flows: readonly Flow[]): void {
    for (const flow of flows) this.#flows.delete(flow);
  }

  /** A socket has drained, or the recorder has room again. */
  wake(): void {
    for (const flow of this.#flows) flow.wake();
  }

  say(text: string): void {
    for (const track of this.#open.values()) track.say(text);
  }

  /** Nothing passes from now on; programs hear that they are to end. */
  close(cut: boolean, text: string | null): void {
    for (const flow of this.#flows) flow.stop();
    for (const track of this.#open.values()) track.close(cut, text);
  }
}
