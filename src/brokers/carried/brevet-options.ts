import { parseDuration } from '#domain/duration.ts';
import { isId, type GrantId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';

/** What a client of any protocol may ask of Brevet beside the target. */
export interface BrevetOptions {
  readonly grant: GrantId | null;
  readonly request: { readonly entitlement: string; readonly reason: string; readonly duration: string | null } | null;
  readonly waitSeconds: number;
}

/** How long `wait` without a time waits, and the longest wait there is (the gate's limit). */
const DEFAULT_WAIT_SECONDS = 900;
const MAX_WAIT_SECONDS = 3600;

/**
 * Reads them; `prefix` is what a client writes before their names.
 * @throws Refusal `invalid_input`, `invalid_duration`
 */
export function readBrevetOptions(given: ReadonlyMap<string, string>, prefix: string): BrevetOptions {
  for (const name of given.keys()) {
    if (!['wait', 'grant', 'request', 'reason', 'duration'].includes(name)) {
      throw new Refusal('invalid_input', `there is no option "${prefix}${name}"`, { hint: 'There are wait, grant, request, reason and duration.' });
    }
  }
  const grant = given.get('grant') ?? null;
  if (grant !== null && !isId('grant', grant)) throw new Refusal('invalid_input', `${prefix}grant is not the id of a grant`);
  const entitlement = given.get('request');
  const duration = given.get('duration') ?? null;
  if (duration !== null) parseDuration(duration);
  return {
    grant,
    request: entitlement ? { entitlement, reason: given.get('reason') ?? '', duration } : null,
    waitSeconds: readWait(given.get('wait')),
  };
}

function readWait(text: string | undefined): number {
  if (text === undefined || ['off', 'no', 'false', '0'].includes(text)) return 0;
  if (['', 'on', 'yes', 'true', '1'].includes(text)) return DEFAULT_WAIT_SECONDS;
  return Math.min(parseDuration(/^\d+$/.test(text) ? Number(text) : text), MAX_WAIT_SECONDS);
}
