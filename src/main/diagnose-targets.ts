import { setTimeout as sleep } from 'node:timers/promises';
import { connectorFor, type App } from '#app/app.ts';
import type { Probe } from '#app/ports/connector.ts';
import type { TargetHealth } from '#app/ports/store.ts';
import { openTarget } from '#app/target-access.ts';
import type { Answer } from '#contract/routes.ts';
import type { Target } from '#domain/entitlement.ts';

type Check = Answer<'doctor'>['checks'][number];

/** Signing in to all targets takes at most this long; of those that have not been reached by then the last look counts. */
const PATIENCE_MS = 8000;
const AT_ONCE = 16;

/** A line for each target: signs in to it now, since what the store remembers may be old. */
export async function diagnoseTargets(app: App): Promise<readonly Check[]> {
  const targets = await app.store.transaction(async (tx) => {
    const live = (await tx.catalogue.targets()).filter((target) => target.retiredAt === null);
    return Promise.all(live.map(async (target) => ({ target, health: await tx.catalogue.health(target.id), hasCredential: (await tx.catalogue.credential(target.id)) !== null })));
  });
  const probes = new Map<string, Probe>();
  const waiting = targets.filter(({ hasCredential }) => hasCredential).map(({ target }) => target);
  const over = new AbortController();
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (let target = waiting.shift(); target && !over.signal.aborted; target = waiting.shift()) {
      const { id } = target;
      const probe = await look(app, id).catch(() => null);
      if (probe) probes.set(id, probe);
    }
  });
  await Promise.race([Promise.all(work), sleep(PATIENCE_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
  return targets.map(({ target, health, hasCredential }) => {
    const name = `target ${target.name}`;
    if (!hasCredential) return { name, state: 'error', message: 'Brevet has no credential for it', hint: `brevet target credential ${target.name}` };
    const probe = probes.get(target.id);
    return { name, ...(probe ? ofProbe(app, target.name, probe, health) : ofMemory(target.name, health)) };
  });
}

async function look(app: App, id: Target['id']): Promise<Probe> {
  const { type, access } = await app.store.transaction((tx) => openTarget(app, tx, id));
  return await connectorFor(app, type).probe(access);
}

function ofProbe(app: App, name: string, probe: Probe, health: TargetHealth | null): Omit<Check, 'name'> {
  const since = !probe.reachable && health?.unreachableSince ? ` since ${health.unreachableSince.toISOString()}` : '';
  if (probe.problem !== null) return { state: 'error', message: probe.problem.replace(/^(the target does not answer)/, `$1${since}`), hint: probe.hint?.replace('NAME', name) ?? null };
  if (probe.skewMs !== null && Math.abs(probe.skewMs) > app.limits.clockSkewMs) {
    const how = `${Math.abs(Math.round(probe.skewMs / 1000))} s ${probe.skewMs > 0 ? 'ahead of' : 'behind'}`;
    return { state: 'error', message: `its clock is ${how} ours`, hint: 'Set it right, by NTP: nothing new is granted on it until then; removals go on.' };
  }
  return { state: 'ok', message: `signed in, version ${probe.version ?? 'unknown'}`, hint: null };
}

function ofMemory(name: string, health: TargetHealth | null): Omit<Check, 'name'> {
  if (health?.problem) return { state: 'error', message: `at the last try: ${health.problem}`, hint: `brevet target standing ${name} tries again.` };
  return { state: 'warning', message: 'there was no time to try it now', hint: `brevet target standing ${name} signs in to it.` };
}
