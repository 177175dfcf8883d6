import { setTimeout as sleep } from 'node:timers/promises';
import { connectorFor, type App } from '#app/app.ts';
import type { Shortfall } from '#app/ports/connector.ts';
import { openTarget } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import type { EntitlementPart } from '#domain/entitlement.ts';
import type { TargetId } from '#domain/id.ts';

type Check = Answer<'doctor'>['checks'][number];

/** As long as the targets themselves get: both are looked at side by side. */
const PATIENCE_MS = 8000;
/** Targets at once; the entitlements on one come one after the other, since each looks by a connection of its own. */
const AT_ONCE = 8;
/** More would fill the screen: the rest shows when this is mended. */
const LONGEST = 1500;

interface Offer {
  readonly entitlement: string;
  readonly part: EntitlementPart;
}

/** A line for each entitlement that could not become real on one of its targets now, with what mends it; one for all others. */
export async function diagnoseEntitlements(app: App): Promise<readonly Check[]> {
  const { offers, names } = await app.store.transaction(async (tx) => {
    const live = (await tx.catalogue.entitlements()).filter((one) => one.retiredAt === null);
    const targets = (await tx.catalogue.targets()).filter((one) => one.retiredAt === null);
    const kept = await Promise.all(targets.map(async ({ id, name }) => [id, name, (await tx.catalogue.credential(id)) !== null] as const));
    return { offers: live.flatMap(({ name, parts }) => parts.map((part) => ({ entitlement: name, part }))), names: new Map(kept.filter(([, , has]) => has).map(([id, name]) => [id, name])) };
  });
  const looked = new Map<Offer, readonly Shortfall[]>();
  const waiting = [...Map.groupBy(offers.filter(({ part }) => names.has(part.target)), ({ part }) => part.target)];
  const over = new AbortController();
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next && !over.signal.aborted; next = waiting.shift()) await look(app, next, looked, over.signal);
  });
  await Promise.race([Promise.all(work), sleep(PATIENCE_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
  const faults = [...looked].flatMap(([{ entitlement, part }, found]) => (found.length === 0 ? [] : [faultCheck(entitlement, names.get(part.target) ?? '', found)]));
  return [...faults, ...rest(offers.length, looked.size, faults.length)];
}

/** All that is offered on one target. One that does not answer is told of by its own line, and not asked again. */
async function look(app: App, [id, offers]: readonly [TargetId, readonly Offer[]], looked: Map<Offer, readonly Shortfall[]>, over: AbortSignal): Promise<void> {
  try {
    const { type, access } = await app.store.transaction((tx) => openTarget(app, tx, id));
    for (const offer of offers) {
      if (over.aborted) return;
      const { kind, account, scope } = offer.part;
      looked.set(offer, await connectorFor(app, type).shortfalls(access, { kind, account, scope }));
    }
  } catch (error) {
    app.journal.warn('what entitlements need on a target was not looked at', { target: id, message: String(error).slice(0, 300) });
  }
}

function faultCheck(entitlement: string, target: string, found: readonly Shortfall[]): Check {
  const each = (texts: readonly (string | null)[]) => [...new Set(texts)].filter((text) => text !== null).join(' ');
  const [sql, hints] = [each(found.map((one) => one.sql)), each(found.map((one) => one.hint))];
  const hint = [...(sql === '' ? [] : [`As a superuser of ${target}, in the entitlement's database: ${sql}`]), ...(hints === '' ? [] : [hints])].join('\n').slice(0, LONGEST) || null;
  return { name: `entitlement ${entitlement}`, state: 'error', message: `can't become real on ${target}: ${found.map(({ message }) => message).join('; ')}`, hint };
}

function rest(all: number, looked: number, faulty: number): readonly Check[] {
  if (all === 0) return [];
  const name = 'entitlements';
  if (looked < all) return [{ name, state: 'warning', message: `${all - looked} of ${all} were not looked at: their targets did not answer, or not in time`, hint: 'Mend the targets above, and run this again.' }];
  return faulty > 0 ? [] : [{ name, state: 'ok', message: `Brevet's roles have what they need on the targets for all ${all}`, hint: null }];
}
