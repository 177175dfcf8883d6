/** The checker has to see what is wrong: each thing that it looks for is planted once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extended, intervals, latest, lawful, leftOver, lost, miscounted, removedBy, unfinished, unlawful, type GrantFacts, type Outage, type Use } from './checker.ts';

const grant: GrantFacts = {
  id: 'grt_1', target: 'orders', account: 'brevet_1', state: 'ended', createdAt: 9_000, activatedAt: 10_000, deadline: 20_000, revokeDueAt: 20_000, endedAt: 40_000, durationMs: 10_000,
};
const use = (at: number, through: Use['through'] = 'broker', more: Partial<Use> = {}): Use => ({ target: 'orders', account: 'brevet_1', at, through, ...more });
const outage = (what: Outage['what'], from: number, to: number, target: string | null = null): Outage => ({ what, target, from, to });
const wrong = (uses: readonly Use[], outages: readonly Outage[] = [], grants = [grant]) => unlawful(uses, grants, outages).length;

test('access within its time is lawful, on either way, up to the bounds', () => {
  assert.equal(wrong([use(10_000), use(15_000), use(21_000), use(9_000, 'direct'), use(25_000, 'direct')]), 0);
});

test('access beyond the deadline is seen, and said', () => {
  assert.deepEqual(unlawful([use(15_000), use(21_001), use(21_050)], [grant], []), ['brevet_1 on orders, broker: 2 uses from 00:00:21.001 to 00:00:21.050; lawful 00:00:10.000 to 00:00:21.000']);
  assert.equal(wrong([use(25_001, 'direct')]), 1);
});

test('access before the grant is active, without a grant, or of one that never was active, is seen', () => {
  assert.equal(wrong([use(9_999)]), 1);
  assert.equal(wrong([use(15_000, 'broker', { account: 'brevet_2' }), use(15_000, 'direct', { target: 'other' })]), 2);
  assert.equal(wrong([use(15_000)], [], [{ ...grant, activatedAt: null, deadline: null }]), 1);
});

test('access after it was called ended is seen, however much was broken', () => {
  assert.equal(wrong([use(22_001, 'direct')], [outage('target', 15_000, 60_000, 'orders')], [{ ...grant, endedAt: 22_000 }]), 1);
});

test('access that was given back ends then, not at the deadline', () => {
  assert.equal(wrong([use(17_001, 'direct')], [], [{ ...grant, revokeDueAt: 12_000 }]), 1);
  assert.equal(wrong([use(17_001)], [], [{ ...grant, revokeDueAt: 12_000 }]), 1);
});

test('an outage excuses the removal on what it struck, until ten seconds after its end; a broker cuts all the same', () => {
  const struck = [outage('store', 19_000, 24_000)];
  assert.equal(wrong([use(33_999, 'direct')], struck), 0);
  assert.equal(wrong([use(34_001, 'direct')], struck), 1);
  assert.equal(wrong([use(21_001)], struck), 1);
  assert.equal(wrong([use(26_000, 'direct')], [outage('target', 19_000, 24_000, 'other')]), 1);
  assert.equal(wrong([use(26_000, 'direct')], [outage('store', 1_000, 9_000)]), 1, 'long over');
  assert.equal(wrong([use(26_000, 'direct')], [outage('store', 25_500, 30_000)]), 1, 'too late to excuse anything');
  assert.equal(removedBy(20_000, 'orders', [outage('store', 19_000, 24_000), outage('target', 33_000, 50_000, 'orders')]), 60_000, 'one after the other');
});

test('a server that died leaves what it had begun to others after its claim', () => {
  assert.equal(removedBy(20_000, 'orders', [outage('server', 19_500, 60_000)]), 28_500);
});

test('a target that hung at the deadline may find what was sent before it', () => {
  assert.equal(lawful(grant, 'broker', [outage('target', 19_000, 23_000, 'orders')])[1], 33_000);
});

test('a machine that stands still moves the bounds by as much, and by no more', () => {
  const still = [outage('standstill', 20_500, 20_800)];
  assert.equal(wrong([use(21_300)], still), 0);
  assert.equal(wrong([use(21_301)], still), 1);
});

test('more time than was granted is seen', () => {
  assert.equal(extended([grant]).length, 0);
  assert.equal(extended([{ ...grant, deadline: 20_001 }]).length, 1);
  assert.equal(extended([{ ...grant, activatedAt: null }]).length, 1);
});

test('a lost request, an unfinished grant, a leftover role are seen', () => {
  assert.deepEqual(lost(['req_1', 'req_2'], ['req_2']), ['req_1']);
  assert.deepEqual(unfinished([grant, { ...grant, id: 'grt_2', state: 'revoking', endedAt: null }]), ['grt_2 is revoking']);
  assert.deepEqual(leftOver(['role ada'], ['role ada', 'role brevet_1']), ['role brevet_1']);
});

test('a change of state that is told twice, or not at all, or never was, is seen', () => {
  const told = ['grant.scheduled', 'grant.active', 'grant.revoking', 'grant.ended'].map((type) => ({ type, about: 'grt_1' }));
  assert.deepEqual(miscounted([grant], [], told), []);
  assert.deepEqual(miscounted([grant], [], told.slice(1)), ['grant.scheduled of grt_1: 0 times']);
  assert.deepEqual(miscounted([grant], [], [...told, { type: 'grant.ended', about: 'grt_1' }]), ['grant.ended of grt_1: 2 times']);
  assert.deepEqual(miscounted([grant], [], [...told, { type: 'grant.activating', about: 'grt_1' }, { type: 'grant.activating', about: 'grt_1' }]), ['grant.activating of grt_1: 2 times']);
  assert.deepEqual(miscounted([{ ...grant, activatedAt: null }], [], told), ['grant.active of grt_1: 1 times']);
  assert.deepEqual(miscounted([], ['ses_1'], [{ type: 'session.opened', about: 'ses_1' }]), ['session.ended of ses_1: 0 times']);
});

test('uses that are near each other are one interval', () => {
  assert.deepEqual(intervals([use(3000), use(1000), use(1900), use(1900, 'direct')]).map(({ from, to, uses }) => [from, to, uses]), [[1000, 1900, 2], [3000, 3000, 1], [1900, 1900, 1]]);
});

test('how near it came is told of undisturbed grants alone', () => {
  const late = [use(20_400), use(22_000, 'direct'), use(20_900, 'broker', { account: 'brevet_2' })];
  const grants = [grant, { ...grant, account: 'brevet_2', deadline: 20_100, revokeDueAt: 20_100 }];
  assert.deepEqual([latest(late, grants, 'broker', []), latest(late, grants, 'direct', [])], [800, 2000]);
  assert.equal(latest(late, grants, 'direct', [outage('store', 19_000, 24_000)]), null);
  const ended = grants.map((one) => ({ ...one, endedAt: 22_500 }));
  assert.equal(latest(late, ended, 'direct', [outage('target', 19_000, 21_900, 'orders')]), null, 'held up, though it ended in time');
});
