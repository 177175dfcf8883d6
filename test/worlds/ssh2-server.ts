import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import ssh2, { type Connection, type PublicKeyAuthContext, type Session } from 'ssh2';
import { SERVER_ALGORITHMS } from '#brokers/ssh/algorithms.ts';

/** The library that the broker is built on, with the broker's algorithms, serving any command by changing keys and saying it, and `zeros N` by as many bytes. */
export interface Ssh2Server extends AsyncDisposable {
  readonly port: number;
  /** The host key, as an OpenSSH public key. */
  readonly hostKey: string;
  /** What went wrong with connections, in its words. */
  readonly errors: readonly string[];
}

/** Whether a user is let in, by what was shown. Without a signature it is only asked whether the key would do. */
export type LetsIn = (context: PublicKeyAuthContext) => boolean;

export async function ssh2Server(letsIn: LetsIn | 'everybody'): Promise<Ssh2Server> {
  const { private: privateKey, public: hostKey } = ssh2.utils.generateKeyPairSync('ed25519');
  const errors: string[] = [];
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [privateKey], algorithms: SERVER_ALGORITHMS }, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client)).on('error', (error: Error) => errors.push(error.message));
    client.on('authentication', (context) => {
      if (letsIn === 'everybody' || (context.method === 'publickey' && letsIn(context))) context.accept();
      else context.reject(['publickey']);
    });
    client.on('session', (accept) => serveCommands(client, accept()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, hostKey, errors,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.end();
      await closed;
    },
  };
}

function serveCommands(client: Connection, session: Session): void {
  session.on('exec', (accept, _reject, { command }) => {
    const channel = accept();
    const answer = (bytes: string | Buffer) => channel.write(bytes, () => {
      channel.exit(0);
      channel.end();
    });
    const zeros = /^zeros (\d+)$/.exec(command)?.[1];
    if (zeros === undefined) client.rekey(() => answer(`${command}\n`));
    else answer(Buffer.alloc(Number(zeros)));
  });
}
