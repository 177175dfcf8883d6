import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkDuration, formatDuration, LONGEST, parseDuration } from './duration.ts';
import { Refusal } from './refusal.ts';

const refused = (input: unknown) =>
  assert.throws(() => parseDuration(input as string), (error) => error instanceof Refusal && error.code === 'invalid_duration', JSON.stringify(input) ?? String(input));

test('durations are read as people write them', () => {
  const samples: [string | number, number][] = [['45m', 2700], ['1h30m', 5400], ['90s', 90], ['2d', 172_800], ['1d1h1m1s', 90_061], ['007s', 7], ['366d', LONGEST], [1, 1], [LONGEST, LONGEST]];
  for (const [input, seconds] of samples) assert.equal(parseDuration(input), seconds, String(input));
});

test('writing and reading are inverse', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: LONGEST }), (seconds) => {
    assert.equal(parseDuration(formatDuration(seconds)), seconds);
    assert.equal(parseDuration(seconds), seconds);
  }));
});

test('each length has one way to be written, with the largest units first', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: LONGEST }), (seconds) => {
    const [, , hours = 0, minutes = 0, rest = 0] = (/^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(formatDuration(seconds)) ?? []).map((part) => Number(part ?? 0));
    assert.ok(hours < 24 && minutes < 60 && rest < 60);
  }));
  assert.equal(formatDuration(0), '0s');
});

test('B01: what is no duration is refused, whatever it looks like', () => {
  for (const text of ['', ' ', '0', '0s', '0h0m', '-5m', '+5m', '1.5h', '1,5h', '1e3', '1e3s', '0x10', 'NaN', 'Infinity', 'never', 'null', '5', '5 m', ' 5m', '5m ', '5m\n', '5M', '5m5h', '5m5m', '1w', '1y', '٣m', '５m', '367d', '99999d', '100000h', '99999999s', '999999999s', '1'.repeat(400)]) refused(text);
  for (const number of [0, -0, -1, 0.5, 1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300, 2 ** 53, LONGEST + 1, Number.MIN_VALUE]) refused(number);
});

test('B01: no text and no number at all becomes a duration outside the bounds', () => {
  const within = (input: string | number) => {
    let seconds: number;
    try {
      seconds = parseDuration(input);
    } catch (error) {
      assert.ok(error instanceof Refusal && error.code === 'invalid_duration', String(error));
      return;
    }
    assert.ok(Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= LONGEST, `${input} became ${seconds}`);
  };
  fc.assert(fc.property(fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger()), within), { numRuns: 500 });
  fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+ 0-9.eE]{0,12}[dhms]?[0-9]{0,9}[dhms]?$/)), within), { numRuns: 1000 });
});

test('a refusal quotes little of what was written', () => {
  assert.throws(() => parseDuration(`${'x'.repeat(5000)}`), (error) => error instanceof Refusal && error.message.length < 100);
  assert.equal(checkDuration(60), 60);
});
