import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { clientAddress } from './client-address.ts';

test('F03: without configured proxies nobody is believed', () => {
  const address = clientAddress([]);
  assert.equal(address.of('203.0.113.9', '10.0.0.1'), '203.0.113.9');
  assert.equal(address.of('127.0.0.1', ['10.0.0.1']), '127.0.0.1');
  assert.equal(address.of('::ffff:203.0.113.9', undefined), '203.0.113.9');
  assert.equal(address.isProxy('127.0.0.1'), false);
});

test('F03: behind proxies the last foreign hop counts, whatever the client put before it', () => {
  const address = clientAddress(['10.0.0.0/24', '2001:db8:1::/48', '192.0.2.7']);
  const cases: [peer: string, forwarded: string | string[] | undefined, client: string][] = [
    ['10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '198.51.100.1, 203.0.113.9, 192.0.2.7,10.0.0.8', '203.0.113.9'],
    ['10.0.0.1', ['198.51.100.1', '203.0.113.9'], '203.0.113.9'],
    ['10.0.0.1', '2001:DB8:0:0::5', '2001:db8::5'],
    ['10.0.0.1', '::ffff:10.0.0.9', '10.0.0.9'],
    ['2001:db8:1::3', '203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', undefined, '10.0.0.1'],
    ['10.0.0.1', '10.0.0.2, 10.0.0.3', '10.0.0.2'],
    ['10.0.1.1', '203.0.113.9', '10.0.1.1'],
    // what is no address stops the walk at the hop that wrote it
    ['10.0.0.1', '203.0.113.9, unknown', '10.0.0.1'],
    ['10.0.0.1', '203.0.113.9, _hidden, 10.0.0.3', '10.0.0.3'],
    ['10.0.0.1', '203.0.113.9,', '10.0.0.1'],
    ['10.0.0.1', '203.0.113.9:4711', '10.0.0.1'],
    ['10.0.0.1', '0x7f.1', '10.0.0.1'],
    ['10.0.0.1', '010.0.0.1', '10.0.0.1'],
    ['10.0.0.1', 'fe80::1%10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', `203.0.113.9, ${Array.from({ length: 40 }, () => '10.0.0.2').join(', ')}`, '10.0.0.2'],
  ];
  for (const [peer, forwarded, client] of cases) assert.equal(address.of(peer, forwarded), client, `${peer} <- ${String(forwarded)}`);
});

test('a wrong range is refused by name, and so is trusting everybody', () => {
  for (const bad of ['', '10.0.0', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/0', '::/0', '2001:db8::/129', 'proxy.example', '10.0.0.0/255.0.0.0', 'fe80::1%eth0', '::ffff:10.0.0.0/104']) {
    assert.throws(() => clientAddress(['10.0.0.1', bad]), (error: unknown) => error instanceof Refusal && error.code === 'invalid_configuration', bad);
  }
});
