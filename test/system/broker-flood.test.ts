/** Floods of connections that never sign in, against a broker with the limits that it ships with. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { sslRequest } from '#brokers/postgres/messages.ts';
import { startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { startTestServer } from '#test/worlds/postgres-server.ts';

/** Keeps `perAddress` connections open from each address, anew whenever one is closed, until the disposal. */
function flood({ broker }: BrokerWorld, addresses: readonly string[], perAddress: number, say: Buffer | null): Disposable & { readonly opened: number } {
  const sockets = new Set<Socket>();
  let isOver = false;
  let opened = 0;
  const open = (localAddress: string) => {
    if (isOver) return;
    const socket = connect({ port: broker.port, host: '127.0.0.1', localAddress });
    sockets.add(socket);
    socket.on('error', () => undefined).on('connect', () => {
      opened += 1;
      if (say) socket.write(say);
    });
    socket.resume().on('close', () => {
      sockets.delete(socket);
      setTimeout(open, 50, localAddress).unref();
    });
  };
  for (const address of addresses) for (let n = 0; n < perAddress; n++) open(address);
  return {
    get opened() {
      return opened;
    },
    [Symbol.dispose]() {
      isOver = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

const addresses = (count: number) => Array.from({ length: count }, (_, n) => `127.0.${1 + (n >> 7)}.${2 + (n & 127)}`);

for (const [what, from, each, say] of [
  ['silent ones from 24 addresses', 24, 70, null],
  ['ones that begin a TLS handshake from 24 addresses', 24, 70, sslRequest()],
  ['silent ones from 600 addresses', 600, 2, null],
] as const) {
  test(`H01 psql gets in while a flood takes all places: ${what}`, { timeout: 60_000 }, async () => {
    await using server = await startTestServer();
    await using world = await startBrokerWorld(server);
    using going = flood(world, addresses(from), each, say);
    await until(() => world.broker.load.halfOpen >= 1024, 'all places to be taken');
    const opened = going.opened;
    for (let n = 0; n < 5; n++) {
      const ran = await world.psql(['-Atc', 'select 1']);
      assert.equal(`${ran.code} ${ran.stdout}`, '0 1\n', ran.stderr);
      assert.ok(world.broker.load.halfOpen >= 900 && world.broker.load.halfOpen <= 1024, `${world.broker.load.halfOpen} half open`);
    }
    assert.ok(going.opened > opened, 'the flood went on');
  });
}
