/**
 * The black-box checker: compares when clients really had access with what Brevet says it granted. It knows what a
 * target wrote down, what the API answers, and what was broken when; nothing of how Brevet works. All functions are pure;
 * times are milliseconds since 1970.
 */

/** A statement that a target carried out, by the target's own record. */
export interface Use {
  readonly target: string;
  /** Whom the target took the caller for. */
  readonly account: string;
  readonly at: number;
  /** Through a broker over the network, or past Brevet: straight into the target by a back door that asks for no password. */
  readonly through: 'broker' | 'direct';
}

/** A grant as the API shows it when everything is over. */
export interface GrantFacts {
  readonly id: string;
  readonly target: string;
  /** Who the target sees: an account of the grant's own, or the raised person's. */
  readonly account: string;
  readonly state: string;
  readonly createdAt: number;
  readonly activatedAt: number | null;
  readonly deadline: number | null;
  /** When it was given back or taken away, or its deadline came. */
  readonly revokeDueAt: number | null;
  readonly endedAt: number | null;
  readonly durationMs: number;
}

/** Something was broken from one instant to another. */
export interface Outage {
  readonly what: 'target' | 'store' | 'server' | 'standstill';
  /** `null`: of all targets. */
  readonly target: string | null;
  readonly from: number;
  readonly to: number;
}

export interface Bounds {
  /** After the deadline, through a broker. */
  readonly brokered: number;
  /** After the removal is due, on a target that can be reached. */
  readonly pushed: number;
  /** After whatever stood in the way is back. */
  readonly afterReturn: number;
  /** What a server that died or fell asleep had begun is left to it so long. */
  readonly claim: number;
}

/** DESIGN's invariant 1, and the claim of the reconciler's lanes. */
export const BOUNDS: Bounds = { brokered: 1000, pushed: 5000, afterReturn: 10_000, claim: 4000 };

/** How long, between two instants, even the checker's own timers did not run: nobody's fault, and counted for nobody. */
function standstill(outages: readonly Outage[], from: number, to: number): number {
  return outages.filter(({ what }) => what === 'standstill').reduce((sum, each) => sum + Math.max(0, Math.min(to, each.to) - Math.max(from, each.from)), 0);
}

/** Until when the target may still let it in: outages that reach into the time left for the removal put it off until after their end. */
export function removedBy(due: number, target: string, outages: readonly Outage[], bounds = BOUNDS): number {
  let until = due + bounds.pushed;
  const inTheWay = outages
    .filter((each) => each.what !== 'standstill' && (each.target === null || each.target === target))
    .map((each) => (each.what === 'server' ? { from: each.from, back: each.from + bounds.claim + bounds.pushed } : { from: each.from, back: each.to + bounds.afterReturn }))
    .toSorted((a, b) => a.from - b.from);
  for (const { from, back } of inTheWay) if (from <= until && back > until && back > due) until = back;
  return until + standstill(outages, due, until);
}

/** From when to when a grant lets this use be. */
export function lawful(grant: GrantFacts, through: Use['through'], outages: readonly Outage[], bounds = BOUNDS): readonly [from: number, to: number] {
  const due = Math.min(grant.deadline ?? Infinity, grant.revokeDueAt ?? Infinity);
  const removed = Math.min(removedBy(due, grant.target, outages, bounds), grant.endedAt ?? Infinity);
  // The target has it a moment before the grant is active: it is read back first. What nobody can sign in with opens nothing.
  if (through === 'direct') return [grant.createdAt, removed];
  if (grant.activatedAt === null || grant.deadline === null) return [Infinity, -Infinity];
  const cut = grant.deadline + bounds.brokered;
  // What was sent to a target that hung at the deadline it may find in its buffers when it goes on.
  const hung = outages.some(({ what, target, from, to }) => what === 'target' && target === grant.target && from <= cut && to >= (grant.deadline ?? 0) - bounds.brokered);
  return [grant.activatedAt, hung ? removed : Math.min(cut + standstill(outages, grant.deadline, cut), removed)];
}

/** Access beyond what was granted, in words; one line for each account and way. */
export function unlawful(uses: readonly Use[], grants: readonly GrantFacts[], outages: readonly Outage[], bounds = BOUNDS): string[] {
  const keyOf = (one: { readonly target: string; readonly account: string }) => `${one.account} on ${one.target}`;
  const times = new Map<string, (readonly [number, number])[]>();
  for (const grant of grants) {
    for (const through of ['broker', 'direct'] as const) {
      const key = `${keyOf(grant)}, ${through}`;
      times.set(key, [...(times.get(key) ?? []), lawful(grant, through, outages, bounds)]);
    }
  }
  const found = Map.groupBy(
    uses.filter((use) => !times.get(`${keyOf(use)}, ${use.through}`)?.some(([from, to]) => use.at >= from && use.at <= to)),
    (use) => `${keyOf(use)}, ${use.through}`,
  );
  return [...found].map(([key, wrong]) => {
    const allowed = times.get(key)?.map(([from, to]) => `${clock(from)} to ${clock(to)}`).join(', ') ?? 'never';
    return `${key}: ${wrong.length} uses from ${clock(wrong[0]?.at ?? 0)} to ${clock(wrong.at(-1)?.at ?? 0)}; lawful ${allowed}`;
  });
}

const clock = (at: number): string => (Number.isFinite(at) ? new Date(at).toISOString().slice(11, 23) : 'never');

/** Grants that have more time than was asked for, or were ended before anything was due. */
export function extended(grants: readonly GrantFacts[]): string[] {
  return grants
    .filter(({ activatedAt, deadline, durationMs }) => (activatedAt === null) !== (deadline === null) || (activatedAt !== null && deadline !== null && deadline - activatedAt > durationMs))
    .map(({ id, activatedAt, deadline, durationMs }) => `${id}: active from ${clock(activatedAt ?? NaN)} to ${clock(deadline ?? NaN)}, granted ${durationMs} ms`);
}

/** What a server said yes to, and nobody knows any more. */
export function lost(acknowledged: readonly string[], known: readonly string[]): string[] {
  const all = new Set(known);
  return acknowledged.filter((id) => !all.has(id));
}

/** What did not come to its end although everything was put right. */
export function unfinished(grants: readonly GrantFacts[]): string[] {
  return grants.filter(({ state, endedAt }) => state !== 'ended' || endedAt === null).map(({ id, state }) => `${id} is ${state}`);
}

/** What stands on a target beyond what stood there before anything was granted. */
export function leftOver(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before);
  return after.filter((each) => !known.has(each));
}

/** An entry of the log: its type, and the grant or session that it is about. */
export interface Told {
  readonly type: string;
  readonly about: string;
}

/** Changes of state that are not told exactly once. */
export function miscounted(grants: readonly GrantFacts[], sessions: readonly string[], entries: readonly Told[]): string[] {
  const count = new Map<string, number>();
  for (const { type, about } of entries) count.set(`${type} of ${about}`, (count.get(`${type} of ${about}`) ?? 0) + 1);
  const once = [
    ...grants.flatMap(({ id, activatedAt }) => ['grant.scheduled', ...(activatedAt === null ? [] : ['grant.active']), 'grant.revoking', 'grant.ended'].map((type) => `${type} of ${id}`)),
    ...sessions.flatMap((id) => ['session.opened', 'session.ended'].map((type) => `${type} of ${id}`)),
  ];
  const wrong = once.filter((what) => count.get(what) !== 1).map((what) => `${what}: ${count.get(what) ?? 0} times`);
  const told = new Set(once);
  const more = [...count].filter(([what, n]) => /^(?:grant|session)\./.test(what) && !told.has(what) && (n > 1 || what.startsWith('grant.active of '))).map(([what, n]) => `${what}: ${n} times`);
  return [...wrong, ...more];
}

/** How late the latest use was, in ms after what ended a grant's time, where nothing stood in the way: to see how near it came, not to judge. */
export function latest(uses: readonly Use[], grants: readonly GrantFacts[], through: Use['through'], outages: readonly Outage[]): number | null {
  const dueAt = ({ deadline, revokeDueAt }: GrantFacts) => Math.min(deadline ?? Infinity, revokeDueAt ?? Infinity);
  // By what stood in the way, not by when it ended: an outage that is over within the time of a removal disturbs it all the same.
  const undisturbed = grants.filter((grant) => removedBy(dueAt(grant), grant.target, outages) === removedBy(dueAt(grant), grant.target, [])
    && lawful(grant, through, outages)[1] === lawful(grant, through, [])[1]);
  // A person's own account holds one grant after another: which of them a late use belonged to can't be told.
  const due = new Map(undisturbed.filter(({ account }) => account.startsWith('brevet_')).map((grant) => [
    `${grant.account} ${grant.target}`, through === 'broker' ? grant.deadline : dueAt(grant),
  ]));
  const late = uses.filter((use) => use.through === through).map((use) => use.at - (due.get(`${use.account} ${use.target}`) ?? Infinity)).filter(Number.isFinite);
  return late.length === 0 ? null : Math.round(late.reduce((worst, each) => Math.max(worst, each)));
}

/** Uses of one account by one way, no further apart than `gapMs`, as intervals. */
export function intervals(uses: readonly Use[], gapMs = 1000): { readonly key: string; readonly from: number; readonly to: number; readonly uses: number }[] {
  return [...Map.groupBy(uses, ({ account, target, through }) => `${account} on ${target}, ${through}`)].flatMap(([key, of]) => {
    const found: { key: string; from: number; to: number; uses: number }[] = [];
    for (const { at } of of.toSorted((a, b) => a.at - b.at)) {
      const open = found.at(-1);
      if (open && at - open.to <= gapMs) Object.assign(open, { to: at, uses: open.uses + 1 });
      else found.push({ key, from: at, to: at, uses: 1 });
    }
    return found;
  });
}
