import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { TargetAccess } from '#app/ports/connector.ts';
import { Refusal } from '#domain/refusal.ts';
import { postgresConnector } from './connector.ts';
import { plainText } from '../plain-text.ts';

const connector = postgresConnector({ installation: 'test', random: (n) => new Uint8Array(n), now: () => new Date(), timeouts: { connect: 600, statement: 400, connection: 3000 } });
const PASSWORD = 'administrator-of-the-target';

/** A server that does to each connection what the attack says; nothing in it knows PostgreSQL but the bytes below. */
async function hostile(attack: (socket: Socket, message: Buffer, count: number) => void, config: object = {}) {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    let count = 0;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      received.push(bytes);
      attack(socket, bytes, count++);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const target: TargetAccess = {
    id: 'tgt_00000000000000000000000000', name: 'hostile', credential: PASSWORD,
    config: connector.parseConfig({ host: '127.0.0.1', port, user: 'brevet', tls: 'disable', ...config }),
  };
  return { target, received: () => Buffer.concat(received), [Symbol.asyncDispose]: async () => void server.close() };
}

function message(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
const int = (n: number) => Buffer.from(Int32Array.of(n).buffer).swap32();
const welcomeAs = (version: string) => Buffer.concat([message('R', int(0)), message('S', 'server_version', version), message('Z', Buffer.from('I'))]);
const welcome = welcomeAs('17.2');
const errorOf = (text: string, code = '42501') => message('E', 'SERROR', 'VERROR', `C${code}`, `M${text}`, Buffer.from([0]));

async function fails(target: TargetAccess): Promise<{ error: Refusal; ms: number; mb: number }> {
  const before = process.memoryUsage().rss;
  const started = performance.now();
  const error = await connector.listOwned(target).then(() => assert.fail('it must fail'), (e: unknown) => e);
  assert.ok(error instanceof Refusal, String(error));
  assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u);
  assert.ok(error.message.length < 600 && !error.message.includes(PASSWORD));
  return { error, ms: performance.now() - started, mb: (process.memoryUsage().rss - before) / 1e6 };
}

test('C05: no answer, an answer cut off, a slow drip: bounded in time, and "unreachable"', async () => {
  const attacks: Record<string, (socket: Socket, bytes: Buffer, count: number) => void> = {
    silence: () => undefined,
    closed: (socket) => socket.destroy(),
    half: (socket) => socket.end(message('R', int(0)).subarray(0, 3)),
    'silent after sign-in': (socket, _, count) => count === 0 && socket.write(welcome),
    drip: (socket, _, count) => {
      if (count === 0) socket.write(welcome);
      else if (count === 1) setInterval(() => socket.write('N'), 20).unref();
    },
    'drip before sign-in': (socket, _, count) => void (count === 0 && setInterval(() => socket.write(message('N', 'Mhello', Buffer.from([0]))), 20).unref()),
  };
  for (const [name, attack] of Object.entries(attacks)) {
    await using server = await hostile(attack);
    const { error, ms } = await fails(server.target);
    assert.equal(error.code, 'target_unreachable', `${name}: ${error.message}`);
    assert.ok(ms < 4500, `${name}: ${ms} ms`);
    assert.equal((await connector.probe(server.target)).reachable, false, name);
  }
});

test('C05: a row of 10 GB and a flood of notices are cut off, not collected', async () => {
  const chunk = Buffer.alloc(1 << 20, 'a');
  const flood = (socket: Socket, bytes: () => Buffer) => {
    let sent = 0;
    const more = () => {
      while (!socket.destroyed && sent < 10e9) {
        const next = bytes();
        sent += next.length;
        if (!socket.write(next)) return void socket.once('drain', more);
      }
    };
    more();
  };
  const row = Buffer.from('D\x7f\xff\xff\xf0\x00\x01\x7f\xff\xff\xe0', 'latin1');
  for (const [name, attack] of Object.entries({
    row: (socket: Socket, _: Buffer, count: number) => {
      if (count === 0) return void socket.write(welcome);
      socket.write(row);
      flood(socket, () => chunk);
    },
    'before sign-in': (socket: Socket) => flood(socket, () => Buffer.concat(Array(500).fill(message('N', `M${'x'.repeat(2000)}`, Buffer.from([0]))))),
  })) {
    await using server = await hostile(attack);
    const { error, mb } = await fails(server.target);
    assert.equal(error.code, 'target_unreachable', name);
    assert.ok(mb < 400, `${name}: ${mb} MB`);
  }
});

test('C05: escape sequences, line breaks, a megabyte and our own password in an error come out plain and short', async () => {
  const evil = `\x1b]0;owned\x07\x1b[2J\r\nfake line \u202egnp ${PASSWORD} ${'x'.repeat(1e6)}`;
  await using server = await hostile((socket) => socket.end(errorOf(evil, '28000')));
  const { error } = await fails(server.target);
  assert.equal(error.code, 'target_refused');
  assert.match(error.message, /\\u\{1b\}/);
  assert.match(error.message, /\*\*\*/);
  const probe = await connector.probe(server.target);
  assert.ok(probe.reachable && (probe.problem?.length ?? 0) < 600);
  assert.equal(plainText('a\nb\u200b\ud800'), 'a\\u{a}b\\u{200b}\ufffd');
});

test('C05: a server in the middle that asks for the password in clear text does not get it', async () => {
  for (const config of [{ tls: 'disable' }, { tls: 'prefer' }]) {
    await using server = await hostile((socket, bytes, count) => {
      if (bytes.length === 8) socket.write('N'); // no TLS here
      else if (count <= 1) socket.write(message('R', int(3)));
    }, config);
    const { error } = await fails(server.target);
    assert.match(error.message, /no TLS|SSL|clear text/);
    assert.ok(!server.received().includes(PASSWORD));
  }
  await using server = await hostile((socket) => socket.write('N'), { tls: 'require' });
  assert.equal((await fails(server.target)).error.code, 'target_refused');
});

test('C05: SCRAM with a billion rounds, an old version, answers of the wrong shape: refused, nothing made up', async () => {
  await using rounds = await hostile((socket, bytes, count) => {
    if (count === 0) socket.write(message('R', int(10), 'SCRAM-SHA-256', Buffer.from([0])));
    else {
      const nonce = /r=([^,]+)$/.exec(bytes.toString('latin1'))?.[1] ?? '';
      socket.write(message('R', int(11), Buffer.from(`r=${nonce}more,s=c2FsdA==,i=2000000000`)));
    }
  });
  const { error, ms } = await fails(rounds.target);
  assert.ok(ms < 3000, `${ms} ms: ${error.message}`);
  for (const version of ['9.6.24', '12.1', '-1', 'x', '', '99999999999999']) {
    await using server = await hostile((socket) => void socket.write(welcomeAs(version)));
    assert.equal((await fails(server.target)).error.code, 'target_refused', version);
  }
  // A role without its oid, and with a name that is a number.
  await using shape = await hostile((socket, _, count) => {
    if (count === 0) return void socket.write(welcome);
    const column = (name: string) => Buffer.concat([Buffer.from(`${name}\0`), int(0), Buffer.alloc(2), int(25), Buffer.alloc(8)]);
    const value = (text: string) => Buffer.concat([int(text.length), Buffer.from(text)]);
    socket.write(Buffer.concat([
      message('T', Buffer.from([0, 2]), column('rolname'), column('oid')), message('D', Buffer.from([0, 2]), value('brevet_x'), value('none')),
      message('C', 'SELECT 1'), message('Z', Buffer.from('I')),
    ]));
  });
  assert.equal((await fails(shape.target)).error.code, 'target_refused');
});

test('C06: a host is a name or an address: no socket path, no option, no line break', () => {
  for (const host of ['/var/run/postgresql', '@abstract', '-oProxy', 'a b', 'a\nb', '', 'x'.repeat(300), 'host=evil', 'a,b', 'a;b']) {
    assert.throws(() => connector.parseConfig({ host, user: 'u' }), (error) => error instanceof Refusal && error.details.field === '/host', host);
  }
  assert.throws(() => connector.parseConfig({ host: 'a', user: 'u', pasword: 'x' }), (error) => error instanceof Refusal && error.details.field === '/pasword');
  assert.deepEqual(connector.parseConfig({ host: 'db.example', user: 'brevet' }), {
    host: 'db.example', port: 5432, database: 'postgres', user: 'brevet', tls: 'verify-full', ca: null, reassignTo: null,
  });
});
