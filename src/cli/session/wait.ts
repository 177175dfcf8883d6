/** Waiting for a decision, and for what was granted to become real: long polls, through short outages, up to a limit. */
import type { Answer } from '#contract/routes.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { Run } from './run.ts';

type AccessRequest = Answer<'request'>;
type Grant = Answer<'grant'>;

const POLL_SECONDS = 20;
/** What an attempt on a target came to wakes nobody up: it is seen at the next look. */
const TARGET_POLL_SECONDS = 3;
const OUTAGE_MS = 60_000;

/** Seconds of waiting, and what Ctrl-C or the limit leaves behind. */
export interface Patience {
  readonly limitSeconds: number | null;
  readonly hint: string;
}

/** Resolves when the request is no longer pending. @throws Failure `timeout`, `interrupted` */
export async function waitForDecision(run: Run, request: AccessRequest, patience: Patience): Promise<AccessRequest> {
  const client = await run.client();
  return follow<AccessRequest>(run, request, patience, {
    fetch: (waitSeconds) => client.call('request', { params: { id: request.id }, query: { waitSeconds } }),
    done: ({ state }) => state !== 'pending',
    line: decisionLine,
  });
}

/** Resolves when the grant is active, or will never be. @throws Failure `timeout`, `interrupted` */
export async function waitForGrant(run: Run, id: string, patience: Patience): Promise<Grant> {
  const client = await run.client();
  const first = await client.call('grant', { params: { id } });
  return follow<Grant>(run, first, patience, {
    fetch: (waitSeconds) => client.call('grant', { params: { id }, query: { waitSeconds } }),
    done: ({ state }) => state !== 'scheduled' && state !== 'activating',
    line: (grant) => (grant.state === 'scheduled' ? `approved; it starts ${run.times.both(grant.startAt)}` : makingLine(grant)),
    trouble: ({ state, parts }) => state !== 'activating' ? [] : parts.flatMap(({ target, lastError, nextStep }) => lastError === null ? [] : [`${target.name}: ${lastError}${nextStep === null ? '' : `\n  ${nextStep}`}`]),
    pollSeconds: TARGET_POLL_SECONDS,
  });
}

function makingLine({ parts }: Grant): string {
  const wrong = parts.find(({ lastError }) => lastError !== null);
  const where = `making it real on ${parts.map(({ target }) => target.name).join(', ')}`;
  return wrong ? `${where}; tried ${wrong.attempts} times: ${wrong.lastError ?? ''}` : where;
}

export function decisionLine({ stages }: Pick<AccessRequest, 'stages'>): string {
  const at = stages.findIndex((stage) => stage.approved < stage.required);
  const stage = stages[at];
  if (!stage) return 'waiting for the decision';
  const place = stages.length > 1 ? `stage ${at + 1} of ${stages.length}, ` : '';
  return `waiting for ${place}${stage.name}: ${stage.approved} of ${stage.required} approved; may decide: ${stage.reviewers.join(', ') || 'nobody now'}`;
}

interface Followed<T> {
  fetch(waitSeconds: number): Promise<T>;
  done(value: T): boolean;
  line(value: T): string;
  /** What stands in the way: told once each, also where there is no terminal. */
  trouble?(value: T): readonly string[];
  readonly pollSeconds?: number;
}

async function follow<T>(run: Run, first: T, { limitSeconds, hint }: Patience, { fetch, done, line, trouble, pollSeconds = POLL_SECONDS }: Followed<T>): Promise<T> {
  const { monotonic, sleep } = run.deps;
  const begun = monotonic();
  const left = () => (limitSeconds === null ? Infinity : limitSeconds - (monotonic() - begun) / 1000);
  let value = first;
  let heard = begun;
  const told = new Set<string>();
  using _ = run.interruptible();
  const elapsed = () => {
    const seconds = Math.floor((monotonic() - begun) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  };
  const shown = () => (monotonic() - heard > (POLL_SECONDS + 5) * 1000 ? '◌ the server does not answer; trying again' : `◌ ${elapsed()}  ${line(value)}`);
  // Awaited here: the interrupt is listened to until the end of this function.
  return await run.watching(shown, async () => {
    while (!done(value)) {
      for (const one of (trouble?.(value) ?? []).filter((each) => !told.has(each))) {
        told.add(one);
        run.warn(one);
      }
      if (left() <= 0) throw new Failure(EXIT.timeout, `${limitSeconds} s have passed: ${line(value)}`, hint);
      const asked = monotonic();
      try {
        value = await fetch(Math.max(1, Math.min(pollSeconds, Math.floor(left()))));
        heard = monotonic();
      } catch (error) {
        if (run.interrupted.aborted) throw new Failure(EXIT.interrupted, 'stopped waiting', hint);
        const outage = error instanceof Failure && error.exit === EXIT.unavailable && monotonic() - heard < OUTAGE_MS;
        if (!outage) throw error;
      }
      // A server that answers at once without news is not asked in a tight loop.
      if (!done(value) && monotonic() - asked < 1000) await sleep(1000, run.interrupted).catch(() => undefined);
    }
    return value;
  });
}
