import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '#domain/json.ts';
import { SftpReader } from './sftp-reader.ts';

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: number) => Buffer.concat([u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32)]);
const text = (value: string | Uint8Array) => Buffer.concat([u32(Buffer.from(value as string).length), Buffer.from(value as string)]);
const packet = (type: number, ...parts: readonly Uint8Array[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 1), Buffer.of(type), body]);
};
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const status = (id: number, code = 0) => packet(101, u32(id), u32(code), text('said'), text('en'));

type Said = readonly ['client' | 'server', Uint8Array];
const client = (...bytes: readonly Uint8Array[]): Said => ['client', Buffer.concat(bytes)];
const server = (...bytes: readonly Uint8Array[]): Said => ['server', Buffer.concat(bytes)];

const HELLO: readonly Said[] = [client(packet(1, u32(3))), server(packet(2, u32(3), text('posix-rename@openssh.com'), text('1')))];

function eventsOf(said: readonly Said[], split = Infinity): { readonly events: readonly JsonObject[]; readonly broken: string | null } {
  const events: JsonObject[] = [];
  const reader = new SftpReader((event) => events.push(event));
  for (const [side, bytes] of said) {
    for (let at = 0; at < bytes.length; at += split) {
      const piece = bytes.subarray(at, at + split);
      if (side === 'client') reader.fromClient(piece);
      else reader.fromServer(piece);
    }
  }
  reader.end();
  return { events, broken: reader.broken };
}

const SESSION: readonly Said[] = [
  ...HELLO,
  client(packet(3, u32(1), text('/srv/a'), u32(0x1a), u32(4), u32(0o644))), server(packet(102, u32(1), text('h1'))),
  client(packet(6, u32(2), text('h1'), u64(0), text('hello ')), packet(6, u32(3), text('h1'), u64(6), text('world'))), server(status(2), status(3)),
  client(packet(4, u32(4), text('h1'))), server(status(4)),
  client(packet(3, u32(5), text('/etc/shadow'), u32(1), u32(0))), server(status(5, 3)),
  client(packet(3, u32(6), text('/srv/b'), u32(1), u32(0))), server(packet(102, u32(6), text('h1'))),
  client(packet(5, u32(7), text('h1'), u64(0), u32(5)), packet(5, u32(8), text('h1'), u64(5), u32(5))), server(packet(103, u32(7), text('01234')), packet(103, u32(8), text('567'))),
  client(packet(5, u32(9), text('h1'), u64(8), u32(5)), packet(4, u32(10), text('h1'))), server(status(9, 1), status(10)),
  client(packet(18, u32(1), text('/a'), text('/b')), packet(200, u32(2), text('posix-rename@openssh.com'), text('/c'), text('/d'))), server(status(1), status(2, 4)),
  client(packet(13, u32(1), text('/x')), packet(14, u32(2), text('/y'), u32(4), u32(0o755)), packet(15, u32(3), text('/z'))), server(status(1), status(2), status(3)),
  client(packet(20, u32(1), text('target'), text('/link'))), server(status(1)),
  client(packet(11, u32(1), text('/srv'))), server(packet(102, u32(1), text('d'))),
  client(packet(12, u32(2), text('d'))), server(packet(104, u32(2), u32(2), text('a'), text('-rw a'), u32(0), text('b'), text('-rw b'), u32(0))),
  client(packet(4, u32(3), text('d'))), server(status(3)),
  client(packet(16, u32(1), text('.'))), server(packet(104, u32(1), u32(1), text('/home/ada'), text(''), u32(0))),
  client(packet(9, u32(1), text(Buffer.of(0x66, 0xff, 0x5c)), u32(5), u64(2 ** 33), u32(0o100600))), server(status(1)),
  client(packet(200, u32(1), text('odd@example.org'), text('?'))), server(status(1, 8)),
  client(packet(17, u32(1), text('/srv'))), server(packet(105, u32(1), u32(0))),
];

test('what was done to which file is told, with bytes and hashes', () => {
  assert.deepEqual(eventsOf(SESSION), { broken: null, events: [
    { op: 'init', version: 3 },
    { op: 'open', path: '/srv/a', mode: 'write', create: true, truncate: true, permissions: '0644', outcome: 'ok' },
    { op: 'close', path: '/srv/a', written: { bytes: 11, sha256: sha256('hello world') }, outcome: 'ok' },
    { op: 'open', path: '/etc/shadow', mode: 'read', outcome: 'permission denied' },
    { op: 'open', path: '/srv/b', mode: 'read', outcome: 'ok' },
    { op: 'close', path: '/srv/b', read: { bytes: 8, sha256: sha256('01234567') }, outcome: 'ok' },
    { op: 'rename', path: '/a', to: '/b', outcome: 'ok' },
    { op: 'rename', path: '/c', to: '/d', outcome: 'failure' },
    { op: 'remove', path: '/x', outcome: 'ok' },
    { op: 'mkdir', path: '/y', permissions: '0755', outcome: 'ok' },
    { op: 'rmdir', path: '/z', outcome: 'ok' },
    { op: 'symlink', path: '/link', to: 'target', outcome: 'ok' },
    { op: 'readdir', path: '/srv', entries: 2, outcome: 'ok' },
    { op: 'realpath', path: '.', is: '/home/ada', outcome: 'ok' },
    { op: 'setstat', path: 'f\\xff\\x5c', size: 2 ** 33, permissions: '0600', outcome: 'ok' },
    { op: 'extension', name: 'odd@example.org', outcome: 'unsupported' },
  ] });
});

test('it is the same in pieces of any size', () => {
  const whole = eventsOf(SESSION);
  for (const size of [1, 2, 3, 5, 7, 13, 64]) assert.deepEqual(eventsOf(SESSION, size), whole, `${size} bytes`);
});

const OPEN = [...HELLO, client(packet(3, u32(1), text('/f'), u32(3), u32(0))), server(packet(102, u32(1), text('h')))];
const closeOf = (said: readonly Said[]) => eventsOf([...OPEN, ...said]).events.at(-1);

test('writes that do not follow each other are told as that, and failed ones', () => {
  const write = (id: number, at: number, bytes: string) => packet(6, u32(id), text('h'), u64(at), text(bytes));
  assert.deepEqual(closeOf([client(write(1, 5, 'x'), write(2, 0, 'yz')), server(status(1), status(2, 4))]), { op: 'close', path: '/f', written: { bytes: 3, unordered: true, failed: 1 }, outcome: 'cut' });
});

test('D01 a number used twice and a handle that was guessed hide nothing', () => {
  const twice = eventsOf([...HELLO, client(packet(13, u32(1), text('/one')), packet(13, u32(1), text('/two'))), server(status(1), status(1, 2))]);
  assert.deepEqual(twice.events.slice(1), [{ op: 'remove', path: '/one', outcome: 'ok' }, { op: 'remove', path: '/two', outcome: 'no such file' }]);
  const guessed = eventsOf([...HELLO, client(packet(3, u32(1), text('/f'), u32(2), u32(0)), packet(6, u32(2), text('h'), u64(0), text('evil')), packet(4, u32(3), text('h'))), server(packet(102, u32(1), text('h')), status(2), status(3))]);
  assert.deepEqual(guessed.events.at(-1), { op: 'close', path: '/f', written: { bytes: 4, sha256: sha256('evil') }, outcome: 'ok' });
});

test('what is copied on the server is told, and that the hash is not all', () => {
  const said = [client(packet(3, u32(2), text('/to'), u32(2), u32(0))), server(packet(102, u32(2), text('t'))), client(packet(200, u32(3), text('copy-data'), text('h'), u64(0), u64(0), text('t'), u64(0))), server(status(3))];
  assert.deepEqual(eventsOf([...OPEN, ...said]).events.at(-3), { op: 'copy', from: '/f', to: '/to', bytes: 'to the end', outcome: 'ok' });
});

test('D06 lengths that lie, and what is no SFTP, break it once and take no memory', () => {
  const lies: readonly (readonly Said[])[] = [
    [client(u32(0xffff_ffff), Buffer.of(3))],
    [client(u32(0))],
    [client(u32(0), Buffer.of(0))],
    [client(packet(6, u32(1), u32(0x7fff_ffff), Buffer.alloc(40)))],
    [client(packet(6, u32(1), text('h'), u64(0), u32(500)))],
    [client(packet(3, u32(1), u32(99)))],
    [client(packet(13, u32(1)))],
    [server(packet(101, u32(77), u32(0)))],
    [server(packet(2, u32(6)))],
    [client(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
  ];
  for (const [at, said] of lies.entries()) {
    const { events, broken } = eventsOf([...HELLO, ...said, client(packet(13, u32(9), text('/later')))]);
    assert.ok(broken !== null || at === 1, `lie ${at}`);
    if (broken !== null) assert.deepEqual(events.filter(({ op }) => op === 'unreadable').length, 1);
  }
});

test('D06 floods are bounded: requests without an answer, files that are never closed', () => {
  const asks = Array.from({ length: 17_000 }, (_, id) => packet(13, u32(id), text('/x')));
  assert.match(eventsOf([...HELLO, client(...asks)]).broken ?? '', /too many requests/);
  const opens = Array.from({ length: 5000 }, (_, id) => [client(packet(3, u32(id), text('/x'), u32(1), u32(0))), server(packet(102, u32(id), text(`h${id}`)))]).flat();
  assert.match(eventsOf([...HELLO, ...opens]).broken ?? '', /too many open/);
});

test('D06 any bytes are read or break it', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 60 }), fc.nat(220)), { maxLength: 12 }), (said) => {
    eventsOf([...OPEN, ...said.map(([side, body, type]): Said => [side ? 'client' : 'server', packet(type, body)])]);
    eventsOf(said.map(([side, body]): Said => [side ? 'client' : 'server', body]));
  }));
});
