/** Instants and durations as people read them: the wall clock with its zone, and how far away that is. */
export interface Times {
  /** `14:32 CET`, `Tue 24 Nov 14:32 CET` */
  at(instant: string | Date): string;
  /** `in 17 min`, `3 h ago` */
  away(instant: string | Date): string;
  /** `14:32 CET, in 17 min` */
  both(instant: string | Date): string;
  /** With seconds, for logs: `2026-11-24 14:32:05 CET` */
  exact(instant: string | Date): string;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** `1h30m`, as Brevet reads it back. */
export function duration(seconds: number): string {
  const parts = [[DAY, 'd'], [HOUR, 'h'], [MINUTE, 'm'], [1, 's']] as const;
  let rest = Math.max(0, Math.round(seconds));
  let text = '';
  for (const [size, unit] of parts) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text || '0s';
}

/** Reads `+1h30m` as seconds; null for anything else. */
export function readOffset(text: string): number | null {
  const match = /^\+(?=\d)(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?$/.exec(text);
  if (!match) return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map((each) => Number(each ?? 0));
  return days * DAY + hours * HOUR + minutes * MINUTE + seconds;
}

function roughly(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  // Near a deadline the seconds matter.
  if (seconds < 10 * MINUTE) return `${Math.floor(seconds / MINUTE)} min${seconds % MINUTE > 0 ? ` ${seconds % MINUTE} s` : ''}`;
  if (seconds < 90 * MINUTE) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) {
    const minutes = Math.floor((seconds % HOUR) / MINUTE);
    return seconds < 10 * HOUR && minutes > 0 ? `${Math.floor(seconds / HOUR)} h ${minutes} min` : `${Math.floor(seconds / HOUR)} h`;
  }
  return `${Math.floor(seconds / DAY)} days`;
}

/** @param now the moment to count from: the server's, when its clock is known */
export function timesIn(timeZone: string, now: () => Date): Times {
  const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', ...options });
  const day = format({ year: 'numeric', month: '2-digit', day: '2-digit' });
  const clock = format({ hour: '2-digit', minute: '2-digit', timeZoneName: 'short' });
  const date = format({ weekday: 'short', day: 'numeric', month: 'short' });
  const year = format({ year: 'numeric' });
  const second = format({ hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' });
  const read = (instant: string | Date) => (typeof instant === 'string' ? new Date(instant) : instant);
  const bad = (instant: Date) => Number.isNaN(instant.getTime());

  const at = (when: Date) => {
    if (day.format(when) === day.format(now())) return clock.format(when);
    const sameYear = year.format(when) === year.format(now());
    return `${date.format(when).replace(',', '')}${sameYear ? '' : ` ${year.format(when)}`} ${clock.format(when)}`;
  };
  const away = (when: Date) => {
    const seconds = Math.round((when.getTime() - now().getTime()) / 1000);
    if (seconds === 0) return 'now';
    return seconds > 0 ? `in ${roughly(seconds)}` : `${roughly(-seconds)} ago`;
  };
  const guarded = (render: (when: Date) => string) => (instant: string | Date) => (bad(read(instant)) ? 'an unreadable time' : render(read(instant)));
  return {
    at: guarded(at),
    away: guarded(away),
    both: guarded((when) => `${at(when)}, ${away(when)}`),
    exact: guarded((when) => `${day.format(when).split('/').toReversed().join('-')} ${second.format(when)}`),
  };
}
