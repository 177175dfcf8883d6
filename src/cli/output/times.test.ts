import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, readOffset, timesIn } from './times.ts';

const now = () => new Date('2026-11-24T13:15:00Z');
const berlin = timesIn('Europe/Berlin', now);

test('a time of today is the clock with its zone, and how far away it is', () => {
  assert.equal(berlin.both('2026-11-24T13:32:10Z'), '14:32 CET, in 17 min');
  assert.equal(berlin.both('2026-11-24T10:15:00Z'), '11:15 CET, 3 h ago');
  assert.equal(timesIn('UTC', now).at('2026-11-24T13:32:00Z'), '13:32 UTC');
});

test('another day and another year are named', () => {
  assert.equal(berlin.at('2026-11-25T08:00:00Z'), 'Wed 25 Nov 09:00 CET');
  assert.equal(berlin.at('2027-07-01T08:00:00Z'), 'Thu 1 Jul 2027 10:00 CEST');
  assert.equal(berlin.away('2026-12-24T13:15:00Z'), 'in 30 days');
  assert.equal(berlin.exact('2026-11-24T13:32:10Z'), '2026-11-24 14:32:10 CET');
});

test('an unreadable time from a server breaks nothing', () => {
  assert.equal(berlin.both('yesterday'), 'an unreadable time');
});

test('distances are never rounded up: a deadline is not nearer than it looks', () => {
  assert.equal(berlin.away('2026-11-24T13:16:29Z'), 'in 89 s');
  assert.equal(berlin.away('2026-11-24T13:16:59Z'), 'in 1 min 59 s');
  assert.equal(berlin.away('2026-11-24T13:25:59Z'), 'in 10 min');
  assert.equal(berlin.away('2026-11-24T15:14:59Z'), 'in 1 h 59 min');
  assert.equal(berlin.away('2026-11-24T13:15:00Z'), 'now');
});

test('durations as Brevet reads them', () => {
  assert.equal(duration(5400), '1h30m');
  assert.equal(duration(0), '0s');
  assert.equal(duration(172_861), '2d1m1s');
  assert.equal(readOffset('+1h30m'), 5400);
  for (const bad of ['1h', '+', '+1', '+30m1h', '+-1h', '+1.5h', '']) assert.equal(readOffset(bad), null);
});
