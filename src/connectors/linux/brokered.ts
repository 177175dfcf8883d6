import { z } from 'zod';
import type { PartPlan, Provisioned, Withdrawn } from '#app/ports/connector.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { openHost } from './connect.ts';
import { accountOf } from './elevation.ts';
import { hostScript } from './host-script.ts';
import { partValues } from './marker.ts';
import type { Tools } from './tools.ts';

/** What `prepare` reads of a stored account: digests, no secret. */
const PRIOR = z.object({
  uid: z.int().positive(),
  accountName: z.string(),
  /** What can outlive a session: keys, crontab, jobs. */
  traces: z.record(z.string(), z.string()),
  readAt: z.string(),
});
type Prior = z.infer<typeof PRIOR>;

/**
 * What a broker notes of a connection to a host, so that its processes are found: the port that it came from, and a word that
 * it set as LC_BREVET in the session's environment (Debian's sshd accepts LC_*). Either is enough.
 */
const FACTS = z.array(z.looseObject({ sourcePort: z.int().min(1).max(65_535).optional(), mark: z.string().regex(/^[0-9A-Za-z_]{8,80}$/).optional() })).max(100_000).default([]);
const REMOVAL = PRIOR.extend({ backends: FACTS, spared: FACTS });

function parse<T>(schema: z.ZodType<T>, prior: JsonObject | null): T {
  const parsed = schema.safeParse(prior);
  if (!parsed.success) throw new Refusal('invalid_input', 'what was noted for the brokered session is unreadable', { field: '/prior' });
  return parsed.data;
}

export async function prepareBrokered(plan: PartPlan, tools: Tools): Promise<Prior & JsonObject> {
  await using session = await openHost(plan.target, tools.timeouts);
  const name = accountOf(plan, session);
  const { facts, traces } = await session.run(hostScript('prepare_session', { ...partValues(plan, session.config, tools), ACCOUNT: name }));
  return parse(PRIOR, { uid: Number(facts['uid']), accountName: name, traces, readAt: facts['readAt'] ?? '' }) as Prior & JsonObject;
}

/** Nothing changes on the target. */
export async function provisionBrokered(plan: PartPlan, tools: Tools): Promise<Provisioned> {
  const prior = parse(PRIOR, plan.prior);
  await using session = await openHost(plan.target, tools.timeouts);
  const name = accountOf(plan, session);
  const { facts } = await session.run(hostScript('prepare_session', { ...partValues(plan, session.config, tools), ACCOUNT: name }));
  if (facts['uid'] !== String(prior.uid)) throw new Refusal('target_refused', 'the account is another one than when it was prepared');
  return { secret: null, evidence: { account: name, uid: prior.uid, changed: false, readAt: facts['readAt'] ?? '' } };
}

/** Ends what runs of this grant's sessions, and nobody else's; what else the account's sessions have changed is told, and left alone. */
export async function withdrawBrokered(plan: PartPlan, tools: Tools): Promise<Withdrawn> {
  if (plan.prior === null) return { gone: true, residue: [], evidence: { nothingWasLent: true } };
  const removal = parse(REMOVAL, plan.prior);
  await using session = await openHost(plan.target, tools.timeouts);
  const read = await session.run(hostScript('end_session', {
    ...partValues(plan, session.config, tools), ACCOUNT_UID: String(removal.uid), MARKS: marksOf(removal.backends), SPARED: marksOf(removal.spared),
  }));
  const { ended, accountFound, readAt } = read.facts;
  const evidence = { account: removal.accountName, recorded: removal.backends.length, sessionsSpared: removal.spared.length, processesEnded: Number(ended ?? 0), accountFound: accountFound === 'yes', readAt: readAt ?? '' };
  return { gone: read.gone, residue: read.gone ? changedSince(removal.traces, read.traces) : [], evidence };
}

function marksOf(facts: z.infer<typeof FACTS>): string {
  return facts.flatMap(({ sourcePort, mark }) => [...(sourcePort === undefined ? [] : [`port ${sourcePort}`]), ...(mark === undefined ? [] : [`mark ${mark}`])]).join('\n');
}

function changedSince(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): readonly Json[] {
  return Object.keys(after).filter((what) => before[what] !== after[what]).map((what) => ({ kind: 'changed_by_account', what }));
}

/** A session of the earlier grant may have changed the account before this one looked. */
export function baseline(own: JsonObject, earlier: JsonObject): JsonObject {
  const [mine, theirs] = [PRIOR.safeParse(own), PRIOR.safeParse(earlier)];
  if (!mine.success || !theirs.success || mine.data.uid !== theirs.data.uid) return own;
  return { ...own, traces: theirs.data.traces, readAt: theirs.data.readAt };
}
