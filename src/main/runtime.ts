import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import type { Journal, Monotonic, NewId, Random } from '#app/ports/runtime.ts';
import { makeId } from '#domain/id.ts';

/** The real world's clock and randomness: nobody else reads them. */
export const random: Random = { bytes: (count) => randomBytes(count) };

export const newId: NewId = (kind, now) => makeId(kind, now.getTime(), randomBytes(10));

export const monotonic: Monotonic = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    // A timer cuts fractions off, and would come before its time.
    await sleep(Math.ceil(ms), undefined, signal ? { signal } : {}).catch(() => undefined);
  },
};

/** Names of fields that never reach the journal, wherever they stand: the last net, not the first. */
const SECRET = ['password', 'secret', 'credential', 'token', 'privateKey', 'link', 'authorization', 'cookie'];

/** One JSON line for each event, on standard error; `quiet` keeps warnings and errors only. */
export function openJournal(level: 'info' | 'warn' | 'silent'): Journal {
  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: { paths: SECRET.flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' }, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ dest: 2, sync: true }),
  );
  return {
    info: (message, facts) => log.info(facts ?? {}, message),
    warn: (message, facts) => log.warn(facts ?? {}, message),
    error: (message, facts) => log.error(facts ?? {}, message),
  };
}
