import type { ClientChannel, ServerChannel, TcpConnectionDetails, TcpipBindInfo } from 'ssh2';
import type { JsonObject } from '#domain/json.ts';
import { mayListen, mayReach } from './permits.ts';
import type { Flow } from './relay.ts';
import type { Track, Tracks } from './tracks.ts';

/** Ports on the target that one session may have listened on. */
const MOST_LISTENS = 16;

/** Forwarded connections of a session, each with what it carries. Their bytes are not recorded, their ends and sizes are. */
export class Forwards {
  readonly #tracks: Tracks;
  readonly #listens = new Map<string, Listen>();

  constructor(tracks: Tracks) {
    this.#tracks = tracks;
  }

  serve(): void {
    const tracks = this.#tracks;
    const { client, target, permits, allows } = tracks;
    client.on('tcpip', (accept, reject, { destIP, destPort }) => {
      const to = { direction: 'to the target\'s side', host: destIP, port: destPort };
      if (!allows.forwarding || tracks.isFull || !mayReach(permits.localForward, destIP, destPort)) {
        tracks.refused('forward', to);
        return reject();
      }
      attempt(reject, () => target.client.forwardOut('127.0.0.1', 0, destIP, destPort, (error, far) => {
        if (error) return reject();
        const near = accept();
        if (near) new Forward(tracks, near, far, to).start();
        else far.close();
      }));
    });
    client.on('request', (accept, reject, name, info) => {
      if (name === 'tcpip-forward') return this.#listen(info as TcpipBindInfo, accept, reject);
      if (name === 'cancel-tcpip-forward') return this.#unlisten(info as TcpipBindInfo, accept, reject);
      tracks.refused(name);
      reject?.();
    });
    target.client.on('tcp connection', (details, accept, reject) => this.#arrived(details, accept, reject));
  }

  #listen({ bindAddr, bindPort }: TcpipBindInfo, accept: ((port?: number) => void) | undefined, reject: (() => void) | undefined): void {
    const { permits, allows, target } = this.#tracks;
    if (!allows.forwarding || this.#listens.size >= MOST_LISTENS || this.#tracks.isFull || !mayListen(permits.remoteForward, bindAddr, bindPort)) {
      this.#tracks.refused('listen', { host: bindAddr, port: bindPort });
      return reject?.();
    }
    attempt(reject, () => target.client.forwardIn(bindAddr, bindPort, (error, port) => {
      if (error) return reject?.();
      this.#listens.set(`${bindAddr}:${port}`, new Listen(this.#tracks, bindAddr, port));
      accept?.(port);
    }));
  }

  #unlisten({ bindAddr, bindPort }: TcpipBindInfo, accept: (() => void) | undefined, reject: (() => void) | undefined): void {
    const name = `${bindAddr}:${bindPort}`;
    const listen = this.#listens.get(name);
    if (!listen) return reject?.();
    attempt(reject, () => this.#tracks.target.client.unforwardIn(bindAddr, bindPort, (error) => {
      if (error) return reject?.();
      this.#listens.delete(name);
      listen.close();
      accept?.();
    }));
  }

  /** Somebody has connected to a port on the target. */
  #arrived({ destIP, destPort, srcIP, srcPort }: TcpConnectionDetails, accept: () => ClientChannel, reject: () => void): void {
    const from = { direction: 'to the client\'s side', host: destIP, port: destPort };
    if (this.#tracks.isFull || !this.#listens.has(`${destIP}:${destPort}`)) return reject();
    attempt(reject, () => this.#tracks.client.forwardOut(destIP, destPort, srcIP, srcPort, (error, near) => {
      if (error) return reject();
      new Forward(this.#tracks, near, accept(), from).start();
    }));
  }
}

/** ssh2 throws when the connection has just gone. */
function attempt(reject: (() => void) | undefined, act: () => void): void {
  try {
    act();
  } catch {
    reject?.();
  }
}

/** A port on the target that is listened on. */
class Listen implements Track {
  readonly #tracks: Tracks;
  readonly #number: number;

  constructor(tracks: Tracks, host: string, port: number) {
    this.#tracks = tracks;
    this.#number = tracks.open(this);
    tracks.record((recording) => recording.opened(this.#number, 'listen', { host, port }));
  }

  say(): void {}

  close(): void {
    this.#tracks.closed(this.#number, 0, 0);
  }
}

/** One forwarded connection. Either side may end its half of it first. */
class Forward implements Track {
  readonly #tracks: Tracks;
  readonly #number: number;
  readonly #near: ServerChannel;
  readonly #far: ClientChannel;
  readonly #detail: JsonObject;
  readonly #in: Flow;
  readonly #out: Flow;
  #nearClosed = false;
  #farClosed = false;
  #over = false;

  constructor(tracks: Tracks, near: ServerChannel, far: ClientChannel, detail: JsonObject) {
    this.#tracks = tracks;
    this.#near = near;
    this.#far = far;
    this.#detail = detail;
    this.#number = tracks.open(this);
    const unseen = () => undefined;
    this.#in = tracks.fromClient(near, far, unseen, () => this.#halfOver(far));
    this.#out = tracks.toClient(far, near, unseen, () => this.#halfOver(near));
  }

  start(): void {
    const [near, far] = [this.#near, this.#far];
    this.#tracks.record((recording) => recording.opened(this.#number, 'forward', this.#detail));
    for (const channel of [near, far]) channel.on('error', () => undefined);
    far.stderr.resume();
    near.on('close', () => {
      this.#nearClosed = true;
      this.#maybeClose();
    });
    far.on('close', () => {
      this.#farClosed = true;
      this.#maybeClose();
    });
  }

  #halfOver(to: ServerChannel | ClientChannel): void {
    to.eof();
    this.#maybeClose();
  }

  /** Once a side has closed as a whole, what the other still sends has nowhere to go; what it has sent before arrives. */
  #maybeClose(): void {
    const [inOver, outOver] = [this.#in.ended, this.#out.ended];
    if ((inOver && outOver) || (inOver && this.#nearClosed) || (outOver && this.#farClosed)) this.close();
  }

  say(): void {}

  close(): void {
    if (this.#over) return;
    this.#over = true;
    const flows = [this.#in, this.#out];
    for (const flow of flows) flow.stop();
    this.#tracks.forget(flows);
    this.#tracks.closed(this.#number, this.#in.bytes, this.#out.bytes);
    this.#near.close();
    this.#far.close();
  }
}
