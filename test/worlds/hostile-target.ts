/** A "PostgreSQL" server that says whatever a test wants it to say. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { authentication, backendKeyData, frame, strings } from '#brokers/postgres/messages.ts';

export interface HostileTarget extends AsyncDisposable {
  readonly port: number;
  /** Everything that was sent to it, as Latin-1. */
  readonly heard: string[];
  /** What it does with a connection after the startup packet (SSLRequests are declined). */
  behave: (socket: Socket, hear: () => Promise<Buffer>) => void | Promise<void>;
}

/** Lets a client in, as an honest server would. */
export const WELCOME = Buffer.concat([
  authentication(0), frame('S', strings('server_version', '15.0')), backendKeyData(1, 2), frame('Z', Buffer.from('I')),
]);

export async function startHostileTarget(): Promise<HostileTarget> {
  const sockets = new Set<Socket>();
  const target = { heard: [] as string[], behave: ((socket) => void socket.write(WELCOME)) as HostileTarget['behave'] };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    const chunks: Buffer[] = [];
    let wake: (() => void) | undefined;
    socket.on('data', (chunk) => {
      target.heard.push(chunk.toString('latin1'));
      if (chunk.length === 8 && chunk.readInt32BE(4) === 80877103) return void socket.write('N');
      chunks.push(chunk);
      wake?.();
    });
    const hear = async (): Promise<Buffer> => {
      while (chunks.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return chunks.shift() as Buffer;
    };
    void hear().then(() => target.behave(socket, hear));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(target, {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
}
