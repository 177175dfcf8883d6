import { isAnyOurs } from '../ground-truth.ts';
import { permits, rulesOf } from '../policy.ts';
import type { World } from '../world.ts';

/** Keeps since when things are as they are; breaks nothing itself. */
export function observe(world: World): null {
  const { scheduler: { now }, memory: { tables } } = world;
  for (const id of tables.grants.live) {
    const grant = tables.grants.rows.get(id);
    if (!grant) continue;
    const over = grant.state === 'revoking' || (grant.state === 'active' && grant.deadline !== null && grant.deadline.getTime() <= world.storeNow());
    if (over) world.wasDue.add(grant.id);
    if (!over) world.due.delete(grant.id);
    else if (!world.due.has(grant.id)) world.due.set(grant.id, now);
  }
  observeDenied(world, now);
  const found = new Set<string>();
  for (const target of world.targets) {
    for (const account of target.accounts.values()) {
      if (!isAnyOurs(account) || ownedByLive(world, account.mark?.part)) continue;
      const key = `${target.name} ${account.id}`;
      found.add(key);
      if (!world.foreign.has(key)) world.foreign.set(key, now);
    }
  }
  for (const key of world.foreign.keys()) if (!found.has(key)) world.foreign.delete(key);
  return null;
}

function ownedByLive({ memory: { tables } }: World, part: string | undefined): boolean {
  return part !== undefined && (tables.parts.rows.get(part)?.part.state ?? 'absent') !== 'absent';
}

/** Sessions that policy would not let in any more. */
function observeDenied(world: World, now: number): void {
  const { tables } = world.memory;
  const policies = [...tables.policies.rows.values()].sort((a, b) => b.version - a.version)[0];
  if (!policies) return;
  const rules = rulesOf(policies);
  for (const { sessions } of world.carriers()) {
    for (const { ticket } of sessions.values()) {
      if (permits(rules, 'connect', ticket.principalName, ticket.entitlementName)) world.denied.delete(ticket.session);
      else if (!world.denied.has(ticket.session)) world.denied.set(ticket.session, now);
    }
  }
}
