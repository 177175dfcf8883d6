import { partAbsent, partRemoving } from '#domain/events/grant-events.ts';
import type { GrantPart } from '#domain/grant.ts';
import type { TargetId } from '#domain/id.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import type { App } from '../app.ts';
import type { ClaimedPart, Tx } from '../ports/store.ts';
import { openAttempt, putBack, type Attempt } from './attempt.ts';
import type { Reach } from './reach.ts';
import { sessionsOnAccount } from './shared-account.ts';
import { withdrawUnwritten } from './withdraw-unwritten.ts';

/** Time for a living broker to report the end of a session with what it counted. */
const LAPSE_MS = 2000;

/**
 * Takes one claimed part away from its target and believes nothing but what it reads back. Anything short of that is
 * tried again, for ever.
 */
export async function withdrawPart(app: App, reach: Reach, claimed: ClaimedPart): Promise<void> {
  const { part } = claimed;
  try {
    const attempt = await app.store.transaction((tx) => planRemoval(app, tx, claimed)).catch(async (error: unknown) => {
      // A brokered session's plan needs what the store can't tell now; its broker has cut it.
      if (part.kind !== 'brokered_session') await withdrawUnwritten(app, part);
      throw error;
    });
    if (!attempt) return;
    const taken = await attempt.connector.withdraw(attempt.plan);
    const residue = together(foundBefore(part), taken.residue);
    if (!taken.gone) {
      const refused = new Refusal('target_refused', stillThere(taken.evidence));
      return await putBack(app, reach, part, refused, { ...taken.evidence, residue });
    }
    await app.store.transaction(async (tx) => {
      if (!(await tx.parts.absent(part.id, part.fence, taken.evidence))) return;
      await tx.log(partAbsent(attempt.grant, part, taken.evidence, residue));
      await noteItAnswers(tx, part.target);
      // A broker that died can't tell of its sessions; the target, read back, has told.
      await tx.sessions.letLapse(part.grant, part.id, new Date(tx.now.getTime() + LAPSE_MS));
      await tx.notify('work', 'advance');
    });
  } catch (error) {
    await putBack(app, reach, part, error);
  }
}

/** What a person reads of it; all of the evidence stands beside it. */
function stillThere(evidence: JsonObject): string {
  const { waitsFor, problems } = evidence;
  if (typeof waitsFor === 'string') return `taken away; it counts as over after ${waitsFor}`;
  const told = Array.isArray(problems) && problems.length > 0 ? problems.map(String).join('; ') : JSON.stringify(evidence);
  return `read back and still there: ${told}`.slice(0, 300);
}

/**
 * Written only when it changes something: the target's row is one, and every removal would wait for the one before to
 * commit. Its clock was not read, so that what was known of it is forgotten.
 */
async function noteItAnswers(tx: Tx, target: TargetId): Promise<void> {
  const health = await tx.catalogue.health(target);
  if (health?.unreachableSince || health?.problem) await tx.catalogue.setHealth(target, { checkedAt: tx.now, unreachableSince: null, problem: null, skewMs: null });
}

async function planRemoval(app: App, tx: Tx, claimed: ClaimedPart): Promise<Attempt | null> {
  const { part } = claimed;
  const attempt = await openAttempt(app, tx, claimed, part.deadline ?? tx.now);
  if (part.state !== 'removing') {
    if (!(await tx.parts.plan(part.id, part.fence, { state: 'removing' }))) return null;
    await tx.log(partRemoving(attempt.grant, part));
  }
  if (part.kind !== 'brokered_session') return attempt;
  if (part.prior === null) return attempt;
  // Nothing of ours stands on the target but the connections that brokers made: those are what to end and look for.
  const prior = { ...part.prior, ...(await sessionsOnAccount(tx, attempt)), found: [...foundBefore(part)] };
  return { ...attempt, plan: { ...attempt.plan, prior } };
}

/** An attempt that put something right and did not come to the end has told of it already: the next finds it right. */
function foundBefore(part: GrantPart): readonly Json[] {
  const residue = part.state === 'removing' ? part.evidence?.['residue'] : null;
  return Array.isArray(residue) ? residue : [];
}

function together(before: readonly Json[], now: readonly Json[]): Json[] {
  return [...new Map([...before, ...now].map((item) => [JSON.stringify(item), item])).values()];
}
