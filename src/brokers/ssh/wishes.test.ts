import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { mayListen, mayReach } from './permits.ts';
import { readWishes } from './wishes.ts';

test('a user name is a target, and what else is wished for', () => {
  assert.deepEqual(readWishes('orders-host'), { target: 'orders-host', within: null, grant: null, request: null, waitSeconds: 0 });
  assert.deepEqual(readWishes('orders-host+account=deploy+wait'), { target: 'orders-host', within: 'deploy', grant: null, request: null, waitSeconds: 900 });
  assert.deepEqual(readWishes('h+request=root+reason=disk%20full%2C%20again+duration=1h+wait=5m').request, { entitlement: 'root', reason: 'disk full, again', duration: '1h' });
});

test('what is not understood is refused, not passed over', () => {
  for (const user of ['', '+wait', 'h+', 'h+colour=red', 'h+account', 'h+account=a+account=b', 'h+grant=nonsense', 'h+reason=%zz', 'h+wait=soon', 'x'.repeat(2000)]) {
    assert.throws(() => readWishes(user), Refusal, user.slice(0, 40));
  }
});

test('D01 a permit of forwarding covers what it names, and no more', () => {
  const reach = (permit: string, host: string, port: number) => mayReach([permit], host, port);
  assert.ok(reach('db.example:5432', 'DB.example', 5432));
  assert.ok(reach('*:5432', 'anything', 5432) && reach('db:*', 'db', 1) && reach('[::1]:80', '::1', 80));
  for (const [permit, host, port] of [['db:5432', 'db', 5433], ['db:5432', 'xdb', 5432], ['db:5432', 'db.evil', 5432], ['*:80', 'db', 8080], ['5432', 'db', 5432], [':80', '', 80]] as const) {
    assert.ok(!reach(permit, host, port), `${permit} ${host} ${port}`);
  }
  assert.ok(mayListen(['8080'], 'localhost', 8080) && mayListen(['*'], '127.0.0.1', 0));
  for (const [address, port] of [['', 8080], ['*', 8080], ['0.0.0.0', 8080], ['10.0.0.1', 8080], ['localhost', 0], ['localhost', 80]] as const) {
    assert.ok(!mayListen(['8080'], address, port), `${address} ${port}`);
  }
});
