import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that can turn into a tar pit: it still accepts, and never answers. */
export interface Tarpit extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing gets through, on old connections and new ones. */
  freeze(): void;
  /** Everything gets through again. Connections that lost bytes meanwhile are broken off. */
  thaw(): void;
}

export async function tarpit(to: number): Promise<Tarpit> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const server = createServer((socket) => {
    const upstream = connect(to, '127.0.0.1');
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => undefined).on('close', () => sockets.delete(each));
    }
    socket.on('data', (bytes) => !frozen && upstream.write(bytes)).on('close', () => upstream.destroy());
    upstream.on('data', (bytes) => !frozen && socket.write(bytes)).on('close', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    freeze: () => {
      frozen = true;
    },
    thaw: () => {
      frozen = false;
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
