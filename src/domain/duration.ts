import { Refusal } from './refusal.ts';

/** A whole number of seconds, at least 1. */
export type Seconds = number;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** Nothing in Brevet lasts longer than a year: a bound that keeps arithmetic on instants safe. */
export const LONGEST: Seconds = 366 * 86_400;

/**
 * Reads `45m`, `1h30m`, `90s`, `2d` (units in falling order, each once) or a whole number of seconds.
 * @throws Refusal `invalid_duration` for everything else: zero, signs, fractions, exponents, more than a year.
 */
export function parseDuration(input: string | number): Seconds {
  if (typeof input === 'number') return checkDuration(input);
  const match = /^(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?$/.exec(input);
  if (!match || input === '') {
    throw new Refusal('invalid_duration', `"${input.slice(0, 40)}" is not a duration`, {
      hint: 'Write it like 45m, 1h30m, 90s or 2d.',
    });
  }
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = match.map(Number).map((n) => n || 0);
  return checkDuration(days * 86_400 + hours * 3600 + minutes * 60 + seconds);
}

/** @throws Refusal `invalid_duration` unless a whole number of seconds from 1 to a year. */
export function checkDuration(seconds: number): Seconds {
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= LONGEST) return seconds;
  throw new Refusal('invalid_duration', 'a duration is a whole number of seconds, from 1 second to 366 days');
}

/** Writes seconds as `1h30m`; the inverse of `parseDuration`. */
export function formatDuration(seconds: Seconds): string {
  let rest = seconds;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNITS[unit] as number;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text || '0s';
}
