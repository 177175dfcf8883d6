import { constants } from 'node:crypto';
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { LegClosed } from './leg.ts';
import { ProtocolError } from './messages.ts';
import { endPointHash } from './scram.ts';

/** Brevet's certificate and key towards clients, and the authorities whose client certificates count; all PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: readonly string[];
}

/**
 * Turns accepted sockets into encrypted ones. A whole `tls.Server` that does not listen does it: a `TLSSocket` made by
 * hand never marks a client's certificate as authorised. No sessions are resumed, so each connection shows its
 * certificate anew.
 */
export class Doorway {
  readonly #server: Server;
  readonly #waiting = new Map<string, { resolve: (socket: TLSSocket) => void; reject: (error: Error) => void }>();
  /** The `tls-server-end-point` of the certificate shown. */
  binding: Buffer | null;

  constructor(tls: TlsMaterial, handshakeMs: number) {
    this.binding = endPointHash(new X509Certificate(tls.cert));
    this.#server = createServer({
      ...context(tls),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['postgresql'],
      handshakeTimeout: handshakeMs,
    });
    this.#server.on('secureConnection', (socket) => {
      const waiting = this.#take(socket);
      if (waiting) waiting.resolve(socket);
      else socket.destroy();
    });
    this.#server.on('tlsClientError', (_, socket) => this.#take(socket)?.reject(new LegClosed('the TLS handshake failed')));
  }

  /** Certificates and authorities change while the broker runs; connections that stand are untouched. */
  renew(tls: TlsMaterial): void {
    this.binding = endPointHash(new X509Certificate(tls.cert));
    this.#server.setSecureContext(context(tls));
  }

  /** `direct`: the client began with TLS and must have named the protocol (ALPN), as PostgreSQL 17 demands. */
  async encrypt(raw: Socket, direct: boolean): Promise<TLSSocket> {
    const name = nameOf(raw);
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      this.#waiting.set(name, { resolve, reject });
      raw.on('close', () => {
        this.#waiting.delete(name);
        reject(new LegClosed('the client went away'));
      });
      this.#server.emit('connection', raw);
    });
    if (direct && socket.alpnProtocol !== 'postgresql') {
      socket.destroy();
      throw new ProtocolError('direct TLS without the protocol name "postgresql"');
    }
    return socket;
  }

  #take(socket: TLSSocket): { resolve: (socket: TLSSocket) => void; reject: (error: Error) => void } | undefined {
    const name = nameOf(socket);
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    return waiting;
  }
}

/** What tells two open connections to one listener apart. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}

function context(tls: TlsMaterial) {
  return {
    cert: tls.cert,
    key: tls.key,
    ca: [...tls.ca],
    minVersion: 'TLSv1.2' as const,
    // AES-128 first: half the work of AES-256 for the same practical strength, and the relay is bound by it.
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20',
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}
