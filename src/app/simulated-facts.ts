import { didYouMean } from '#domain/did-you-mean.ts';
import { parseDuration } from '#domain/duration.ts';
import { Refusal } from '#domain/refusal.ts';
import type { PolicyContext } from './ports/policy.ts';

/** Each fact that can be set; the type demands all of them. */
const FACTS: { readonly [F in keyof Required<PolicyContext>]: true } = {
  now: true, durationSeconds: true, startAt: true, reason: true, ticket: true, clientIp: true, authentication: true, onBehalfOf: true, requester: true,
};
/** What policies see besides, and is read off another fact. */
const READ_OFF_NOW = ['hourUtc', 'weekdayUtc'];

/**
 * Facts in the words of policies or of policy tests, which say `duration: 2h` for `durationSeconds`. One that no policy could
 * see would answer another question than the one asked. @throws Refusal `invalid_input`, `invalid_duration`
 */
export function readSimulatedFacts(facts: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => {
    if (name !== 'duration' && !Object.hasOwn(FACTS, name)) {
      const known = [...Object.keys(FACTS), 'duration'];
      const why = READ_OFF_NOW.includes(name) ? 'it is read off now: set that.' : `it is one of ${known.join(', ')}`;
      throw new Refusal('invalid_input', `"${name}" is no fact that can be set.${didYouMean(name, known)}`, { field: `/context/${name}`, hint: `A fact: ${why}` });
    }
    if ((name !== 'duration' && name !== 'durationSeconds') || value === null) return [name === 'duration' ? 'durationSeconds' : name, value];
    return ['durationSeconds', parseDuration(typeof value === 'number' ? value : String(value))];
  }));
}
