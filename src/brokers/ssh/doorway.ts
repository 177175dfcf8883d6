import type { Socket } from 'node:net';
import type { ClientInfo, Server } from 'ssh2';
import type { Waiting } from '../carried/ask-gate.ts';
import { hangUp } from '../carried/hang-up.ts';
import type { Words } from '../carried/words.ts';
import { SERVER_ALGORITHMS } from './algorithms.ts';
import { readableKey } from './private-key.ts';
import { ssh2Server, type PatchedConnection } from './patched-ssh2.ts';
import { linesOf } from './speech.ts';

/** Brevet's key and certificate towards clients, and the authorities whose user certificates count. */
export interface SshMaterial {
  /** Ed25519, in OpenSSH's or PEM format. */
  readonly hostKey: string;
  /** A host certificate for that key, as it is on the wire; `null` for none. */
  readonly hostCertificate: Uint8Array | null;
  /** Public keys as they are on the wire. */
  readonly authorities: readonly Uint8Array[];
}

/** The client went away. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** How often a silent peer is asked whether it is there, and how often in vain. */
const KEEPALIVE = { keepaliveInterval: 30_000, keepaliveCountMax: 3 };

/**
 * Hands accepted sockets to ssh2. One server of ssh2's, which does not listen, serves them all; it tells of a client when
 * its identification has come.
 */
export class Doorway {
  #server: Server;
  authorities: readonly Uint8Array[];
  readonly #waiting = new Map<string, (client: PatchedConnection, info: ClientInfo) => void>();

  constructor(material: SshMaterial) {
    this.authorities = material.authorities;
    this.#server = this.#serve(material);
  }

  /** Keys and authorities change while the broker runs; connections that stand are untouched. */
  renew(material: SshMaterial): void {
    this.authorities = material.authorities;
    this.#server = this.#serve(material);
  }

  /** Waits for a client's identification. @throws ClientGone */
  async greet(raw: Socket): Promise<Visitor> {
    const name = nameOf(raw.remoteAddress, raw.remotePort);
    return await new Promise((resolve, reject) => {
      this.#waiting.set(name, (client, info) => {
        this.#waiting.delete(name);
        resolve(new Visitor(raw, client, info.header.versions.software));
      });
      raw.on('close', () => {
        this.#waiting.delete(name);
        reject(new ClientGone('the client went away'));
      });
      this.#server.injectSocket(raw);
    });
  }

  #serve({ hostKey, hostCertificate }: SshMaterial): Server {
    const certificate = hostCertificate && Buffer.from(hostCertificate);
    const server = ssh2Server({ hostKeys: [{ key: readableKey(hostKey), certificate }], algorithms: SERVER_ALGORITHMS, ident: 'Brevet', ...KEEPALIVE });
    return server.on('connection', (client: PatchedConnection, info: ClientInfo) => this.#waiting.get(nameOf(info.ip, info.port))?.(client, info));
  }
}

/** What tells two open connections to one listener apart. */
function nameOf(address: string | undefined, port: number | undefined): string {
  return `${address ?? ''} ${port ?? 0}`;
}

/** A client from its identification on. */
export class Visitor implements Waiting {
  readonly raw: Socket;
  readonly client: PatchedConnection;
  /** What it calls itself, `OpenSSH_9.2` say: free of control characters, and nothing to rely on. */
  readonly software: string;

  constructor(raw: Socket, client: PatchedConnection, software: string) {
    this.raw = raw;
    this.client = client;
    this.software = software.replaceAll(/[^ -~]/g, '?').slice(0, 100);
    // Whoever does not keep to the protocol has been told so by ssh2.
    client.on('error', () => hangUp(raw));
  }

  get gone(): boolean {
    return this.raw.destroyed || this.raw.readableEnded;
  }

  onGone(listener: () => void): void {
    if (this.gone) return listener();
    this.raw.once('close', listener);
  }

  /** Says something to who is not signed in yet. */
  say(words: Words): void {
    this.client.banner(linesOf(words));
  }
}
