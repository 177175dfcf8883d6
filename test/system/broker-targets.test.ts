/** Targets that are hostile, odd, or encrypted in one of the ways there are. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test as bare } from 'node:test';
import { authentication, frame, speech, strings } from '#brokers/postgres/messages.ts';
import type { TicketTerms } from '#test/worlds/memory-gate.ts';
import { startBrokerWorld, until, type BrokerWorld } from '#test/worlds/broker-world.ts';
import { makeAuthority, type TestAuthority } from '#test/worlds/certificates.ts';
import { startHostileTarget, WELCOME, type HostileTarget } from '#test/worlds/hostile-target.ts';
import { startTestServer, type TestServer } from '#test/worlds/postgres-server.ts';
import { errorOf, query, signInRaw } from '#test/worlds/raw-client.ts';

const test = (name: string, body: () => Promise<void>) => bare(name, { timeout: 60_000 }, body);

let server: TestServer;
let authority: TestAuthority;
let world: BrokerWorld;
let hostile: HostileTarget;
let honest: TicketTerms;

before(async () => {
  authority = await makeAuthority('Target authority');
  server = await startTestServer({
    tls: await authority.issue('server', 'localhost'),
    hba: [
      'hostssl all tls_only 127.0.0.1/32 scram-sha-256', 'hostnossl all tls_only 127.0.0.1/32 reject', 'hostnossl all plain_only 127.0.0.1/32 scram-sha-256',
      'host all md5_only 127.0.0.1/32 md5', 'host all clear_only 127.0.0.1/32 password', 'host all all 127.0.0.1/32 scram-sha-256',
    ],
  });
  await server.query(`create role tls_only login password 'gehéim 1'; create role plain_only login password 'x'; create role clear_only login password 'x';
    set password_encryption = 'md5'; create role md5_only login password 'x'`);
  world = await startBrokerWorld(server);
  hostile = await startHostileTarget();
  honest = world.gate.terms;
});
after(async () => {
  await hostile[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});

/** What `select current_user` says through the broker with these upstream terms, or how it fails. */
async function ask(upstream: Partial<TicketTerms['upstream']>): Promise<string> {
  world.gate.terms = { ...honest, upstream: { ...honest.upstream, ...upstream } };
  const ran = await world.psql(['-Atc', 'select current_user']);
  world.gate.terms = honest;
  await until(() => world.gate.ends.length === world.gate.tickets.length, 'the report');
  return ran.code === 0 ? ran.stdout.trim() : (/FATAL: {2}(.*)/.exec(ran.stderr)?.[1] ?? ran.stderr);
}

test('the ways of TLS and of signing in', async () => {
  const tls = { user: 'tls_only', password: 'gehéim 1' };
  assert.equal(await ask({ ...tls, tls: 'prefer' }), 'tls_only');
  assert.equal(await ask({ ...tls, tls: 'require' }), 'tls_only');
  assert.equal(await ask({ ...tls, tls: 'require', ca: authority.ca }), 'tls_only');
  assert.equal(await ask({ ...tls, tls: 'verify-full', ca: authority.ca }), 'tls_only');
  assert.equal(await ask({ ...tls, tls: 'verify-full', ca: authority.ca, host: 'localhost' }), 'tls_only');
  assert.match(await ask({ ...tls, tls: 'verify-full', ca: world.authority.ca }), /certificate does not verify/);
  assert.match(await ask({ ...tls, tls: 'verify-full', ca: null }), /certificate does not verify/);
  assert.match(await ask({ ...tls, tls: 'disable' }), /does not accept Brevet's sign-in \(SQLSTATE 28000\)/);
  assert.equal(await ask({ user: 'plain_only', password: 'x', tls: 'disable' }), 'plain_only');
  assert.equal(await ask({ user: 'md5_only', password: 'x', tls: 'disable' }), 'md5_only');
  assert.equal(await ask({ user: 'md5_only', password: 'x', tls: 'require' }), 'md5_only');
  assert.equal(await ask({ user: 'clear_only', password: 'x', tls: 'require' }), 'clear_only');
  assert.match(await ask({ user: 'clear_only', password: 'x', tls: 'disable' }), /password in clear, without TLS/);
});

test('what the target refuses is told without its words', async () => {
  assert.match(await ask({ password: 'wrong' }), /^Brevet: the target does not accept Brevet's sign-in \(SQLSTATE 28P01\)$/);
  assert.match(await ask({ database: 'nowhere' }), /no such database \(SQLSTATE 3D000\)/);
  assert.match(await ask({ port: 1 }), /the target does not answer/);
  await server.stop();
  assert.match(await ask({}), /the target does not answer/);
  await server.start();
  assert.equal(await ask({}), 'carrier');
});

const LIES: Readonly<Record<string, [HostileTarget['behave'], RegExp]>> = {
  'asks for the password in clear': [(socket) => void socket.write(authentication(3)), /password in clear, without TLS/],
  'asks for MD5 where TLS was wanted': [(socket) => void socket.write(authentication(5, Buffer.alloc(4))), /MD5 password, without TLS/],
  'asks for Kerberos': [(socket) => void socket.write(authentication(7)), /way of signing in/],
  'leaves SCRAM early with "ok"': [
    async (socket, hear) => {
      socket.write(authentication(10, strings('SCRAM-SHA-256', '')));
      await hear();
      socket.write(WELCOME);
    },
    /left the SCRAM exchange early/,
  ],
  'sends a SCRAM nonce of its own': [
    async (socket, hear) => {
      socket.write(authentication(10, strings('SCRAM-SHA-256', '')));
      await hear();
      socket.write(authentication(11, Buffer.from('r=other,s=c2FsdA==,i=4096')));
    },
    /nonce that is not ours/,
  ],
  'wants a billion iterations': [
    async (socket, hear) => {
      socket.write(authentication(10, strings('SCRAM-SHA-256', '')));
      const nonce = /r=(\S+)$/.exec((await hear()).toString())?.[1];
      socket.write(authentication(11, Buffer.from(`r=${nonce}xyz,s=c2FsdA==,i=1000000000`)));
    },
    /iteration count/,
  ],
  'can not prove that it knows the password': [
    async (socket, hear) => {
      socket.write(authentication(10, strings('SCRAM-SHA-256', '')));
      const nonce = /r=(\S+)$/.exec((await hear()).toString())?.[1];
      socket.write(authentication(11, Buffer.from(`r=${nonce}xyz,s=c2FsdA==,i=4096`)));
      await hear();
      socket.write(Buffer.concat([authentication(12, Buffer.from('v=AAAA')), WELCOME]));
    },
    /could not prove/,
  ],
  'chatters for ever': [
    (socket) => {
      socket.write(authentication(0));
      const notice = frame('N', Buffer.alloc(8000));
      const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : void socket.write(notice)), 1);
    },
    /says too much/,
  ],
  'announces a gigabyte': [(socket) => void socket.write(Buffer.from([0x45, 0x3f, 0xff, 0xff, 0xff])), /impossible length/],
  'speaks HTTP': [(socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /impossible length|does not speak/],
  'refuses with colours and secrets': [
    (socket) => void socket.end(speech({ severity: 'FATAL', code: '\u001b[31m', message: 'password carried-secret of carrier is \u001b]0;wrong' })),
    /^Brevet: the target refused the session \(SQLSTATE XX000\)$/,
  ],
  'hangs up': [(socket) => void socket.destroy(), /does not answer/],
};

for (const [what, [behave, expected]] of Object.entries(LIES)) {
  test(`C05 hostile target at the start: ${what}`, async () => {
    hostile.behave = behave;
    hostile.heard.length = 0;
    const said = await ask({ port: hostile.port });
    assert.match(said, expected);
    assert.ok(!hostile.heard.some((text) => text.includes('carried-secret')), 'the password was not sent');
  });
}

const FRAMES: Readonly<Record<string, Buffer>> = {
  'a length below four': Buffer.from([0x43, 0, 0, 0, 0]),
  'a negative length': Buffer.from([0x44, 0x80, 0, 0, 0]),
  'an unknown type': Buffer.from([0x01, 0, 0, 0, 4]),
  'a demand for the password': authentication(3),
  'a second key': frame('K', Buffer.alloc(8)),
  'a giant ReadyForQuery': Buffer.from([0x5a, 0x10, 0, 0, 0]),
};

test('C05 hostile target in the session: frames that can\'t be never reach the client', async () => {
  world.gate.terms = { ...honest, upstream: { ...honest.upstream, port: hostile.port } };
  for (const [what, bytes] of Object.entries(FRAMES)) {
    hostile.behave = async (socket, hear) => {
      socket.write(WELCOME);
      await hear();
      socket.write(bytes);
    };
    const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
    client.send(query('select 1'));
    const seen = await client.until('E');
    assert.equal(seen.length, 1, what);
    assert.equal(errorOf(seen)?.message, 'Brevet: the target does not keep to the PostgreSQL protocol', what);
    client.close();
  }
  // A row of a gigabyte that drips passes through in bounded memory, and the session can still be cut.
  hostile.behave = async (socket, hear) => {
    socket.write(WELCOME);
    await hear();
    socket.write(Buffer.from([0x44, 0x3f, 0xff, 0xff, 0xff]));
    const chunk = Buffer.alloc(1 << 20);
    const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.writableLength < 8e6 && socket.write(chunk)), 1);
  };
  const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
  client.send(query('select row'));
  const before = process.memoryUsage().rss;
  let bytes = 0;
  client.leg.flow((chunk) => void (bytes += chunk.length));
  await until(() => bytes > 300e6, 'much of it', 30_000);
  assert.ok(process.memoryUsage().rss - before < 150e6, 'memory stays bounded');
  world.gate.order({ session: world.gate.lastSession, order: 'cut', reason: 'ended_by_admin', message: 'enough' });
  await until(() => client.leg.gone, 'the cut in the middle of the row', 1000);
  world.gate.terms = honest;
});

test('a client that reads late gets every byte as it was', async () => {
  world.gate.terms = { ...honest, upstream: { ...honest.upstream, port: hostile.port } };
  const rows = 900;
  const row = (n: number) => frame('D', Buffer.alloc(9000, n % 251));
  // Piece by piece, so that chunks queue up while the client does not read, each read into the same shared buffer.
  hostile.behave = async (socket, hear) => {
    socket.write(WELCOME);
    await hear();
    for (let n = 0; n < rows; n++) {
      if (!socket.write(row(n))) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const { client } = await signInRaw(world.broker.port, world.gate.issueToken());
  client.send(query('select rows'));
  const hash = createHash('sha256');
  let bytes = 0;
  client.leg.flow((chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
    client.socket.pause();
    setTimeout(() => client.socket.resume(), bytes < 20_000 ? 2500 : 0);
  });
  const expected = Buffer.concat(Array.from({ length: rows }, (_, n) => row(n)));
  await until(() => bytes >= expected.length, 'all of it', 40_000);
  assert.equal(hash.digest('hex'), createHash('sha256').update(expected).digest('hex'));
  client.close();
  world.gate.terms = honest;
});
