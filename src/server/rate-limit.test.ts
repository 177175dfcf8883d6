import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rateLimit } from './rate-limit.ts';

const limiter = () => {
  const clock = { now: 0 };
  return { clock, limit: rateLimit({ public: { burst: 3, perSecond: 1 }, password: { burst: 2, perSecond: 0.1 }, signed_in: { burst: 10, perSecond: 100 }, unverified: { burst: 4, perSecond: 1 }, log: { burst: 10, perSecond: 100 } }, () => clock.now) };
};
const count = (times: number, allow: () => boolean): number => Array.from({ length: times }, allow).filter(Boolean).length;

test('H01: a burst, then as much as flows in', () => {
  const { clock, limit } = limiter();
  assert.equal(count(10, () => limit.allow('a', 'public')), 3);
  clock.now = 999;
  assert.equal(limit.allow('a', 'public'), false);
  clock.now = 1000;
  assert.equal(count(5, () => limit.allow('a', 'public')), 1);
  clock.now = 1_000_000;
  assert.equal(count(10, () => limit.allow('a', 'public')), 3, 'no more is saved up than a burst');
});

test('each caller has their own', () => {
  const { limit } = limiter();
  assert.equal(count(10, () => limit.allow('a', 'public')), 3);
  assert.equal(count(10, () => limit.allow('b', 'public')), 3);
  assert.equal(count(20, () => limit.allow('c', 'signed_in')), 10);
  assert.equal(count(20, () => limit.allow('name d', 'password')), 2);
});

test('refused calls cost nothing, and a clock that stands still gives nothing', () => {
  const { clock, limit } = limiter();
  count(1000, () => limit.allow('a', 'public'));
  clock.now = 1000;
  assert.equal(limit.allow('a', 'public'), true);
  assert.equal(limit.allow('a', 'public'), false);
});

test('memory is bounded: whoever has not called for longest is forgotten', () => {
  const { limit } = limiter();
  count(3, () => limit.allow('first', 'public'));
  for (let n = 0; n < 50_000; n++) limit.allow(`other ${n}`, 'public');
  assert.equal(limit.allow('first', 'public'), true);
  assert.equal(count(3, () => limit.allow('other 49999', 'public')), 2);
});

test('H01: what is given back was not counted, and never makes more than a burst', () => {
  const { limit } = limiter();
  for (let n = 0; n < 20; n++) {
    assert.ok(limit.allow('a', 'unverified'));
    limit.giveBack('a', 'unverified');
  }
  for (let n = 0; n < 20; n++) limit.giveBack('a', 'unverified');
  limit.giveBack('nobody', 'unverified');
  assert.equal(count(10, () => limit.allow('a', 'unverified')), 4);
});
