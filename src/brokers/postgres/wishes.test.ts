import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#domain/refusal.ts';
import { readWishes, upstreamParameters } from './wishes.ts';

const wishes = (parameters: Readonly<Record<string, string>>) => readWishes(new Map(Object.entries({ user: 'mia/tok_1', ...parameters })));
const grant = 'grt_01m80kccd7nz037ev615p2kcn9';

test('user and database say who and where', () => {
  assert.equal(wishes({ user: 'a/b/tok_2' }).handle, 'tok_2');
  assert.equal(wishes({ user: 'tok_3' }).handle, 'tok_3');
  const where = (database: string) => [wishes({ database }).target, wishes({ database }).within];
  assert.deepEqual(where('orders'), ['orders', null]);
  assert.deepEqual(where('orders/main'), ['orders', 'main']);
  assert.deepEqual(where('orders/a/b'), ['orders', 'a/b']);
  assert.deepEqual(where('mia/tok_1'), [null, null], 'libpq repeats the user');
  assert.deepEqual(where(''), [null, null]);
});

test('options speak to Brevet or to the target', () => {
  const asked = wishes({ options: `-c brevet.wait=5m -cbrevet.request=orders-read -c brevet.reason=fix\\ INC-1\\\\ -c brevet.grant=${grant} --work-mem=1MB -c geqo=off` });
  assert.equal(asked.waitSeconds, 300);
  assert.deepEqual(asked.request, { entitlement: 'orders-read', reason: 'fix INC-1\\', duration: null });
  assert.equal(asked.grant, grant);
  assert.deepEqual([...asked.settings], [['work_mem', '1MB'], ['geqo', 'off']]);
  const waits = ['wait', 'wait=90', 'wait=2h', '-c brevet.wait=off', 'brevet.wait=1', ''].map((options) => wishes({ options }).waitSeconds);
  assert.deepEqual(waits, [900, 90, 3600, 0, 900, 0]);
});

test('what would change the identity or is not understood is refused', () => {
  const code = (parameters: Readonly<Record<string, string>>) => {
    try {
      return wishes(parameters) && null;
    } catch (error) {
      return error instanceof Refusal ? error.code : error;
    }
  };
  assert.equal(code({ replication: 'true' }), 'unsupported');
  assert.equal(code({ replication: 'off' }), null);
  assert.equal(code({ ROLE: 'x' }), 'forbidden');
  assert.equal(code({ options: '--session-authorization=x' }), 'forbidden');
  // Behind ours in the upstream packet they would win.
  assert.equal(code({ options: '-c database=other' }), 'forbidden');
  assert.equal(code({ options: '--user=postgres' }), 'forbidden');
  assert.equal(code({ USER: 'postgres' }), 'forbidden');
  assert.equal(code({ options: '-c' }), 'invalid_input');
  assert.equal(code({ options: '-d 5' }), 'invalid_input');
  assert.equal(code({ options: '-c work_mem' }), 'invalid_input');
  assert.equal(code({ options: '-c brevet.grant=grt_1' }), 'invalid_input');
  assert.equal(code({ options: 'wait=soon' }), 'invalid_duration');
  assert.equal(code({ user: '' }), 'unauthenticated');
});

test('pinned settings win in any spelling', () => {
  const asked = wishes({ options: '-c Search_Path=public', application_name: 'x', 'DEFAULT_transaction_read_only': 'off' });
  const upstream = { user: 'carrier', database: 'd', settings: { search_path: 'safe', Default_Transaction_Read_Only: 'on' } };
  assert.deepEqual(upstreamParameters(asked, upstream), [
    ['user', 'carrier'], ['database', 'd'], ['application_name', 'x'], ['search_path', 'safe'], ['Default_Transaction_Read_Only', 'on'],
  ]);
});
