import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originOf } from './origin-of.ts';

test('an IPv6 network of 64 bits counts as one, IPv4 inside IPv6 as IPv4', () => {
  const same = ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:3:4:5:6', '2001:0db8:0001:0002::', '2001:db8:1:2::1%eth0'];
  assert.deepEqual(new Set(same.map(originOf)), new Set(['2001:db8:1:2::/64']));
  assert.equal(originOf('2001:db8:1:3::1'), '2001:db8:1:3::/64');
  assert.equal(originOf('::1'), '0:0:0:0::/64');
  assert.equal(originOf('fe80::1:2:3:4'), 'fe80:0:0:0::/64');
  assert.equal(originOf('1::'), '1:0:0:0::/64');
  assert.deepEqual(['::ffff:10.0.0.1', '::FFFF:0a00:1', '10.0.0.1'].map(originOf), ['10.0.0.1', '10.0.0.1', '10.0.0.1']);
  assert.equal(originOf(''), '');
});
