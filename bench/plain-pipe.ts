/**
 * What a relay can't beat by much: a Node process that pipes sockets and looks at nothing. `tls` ends TLS first, after
 * PostgreSQL's SSLRequest. Settings come by the first message, the port goes back by the first answer.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

process.once('message', (message) => {
  const settings = message as Settings;
  const join = (client: Socket) => {
    const target = connect({ host: settings.host, port: settings.port, noDelay: true });
    client.pipe(target).pipe(client);
    for (const socket of [client, target]) socket.on('error', () => [client, target].forEach((each) => each.destroy()));
  };
  const secure = settings.tls && createTlsServer(settings.tls, join);
  const server = createServer({ noDelay: true }, (client) => {
    if (!secure) return join(client);
    client.once('readable', () => {
      client.read(8);
      client.write('S');
      secure.emit('connection', client);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
});
process.on('disconnect', () => process.exit());
