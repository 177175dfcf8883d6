import type { GrantPart } from '#domain/grant.ts';
import type { Account, SimTarget } from './target.ts';
import type { World } from './world.ts';

/** What the world knows and no server does: whose an account, a role, a connection really is. */
export const isAnyOurs = (account: Account) => account.mark !== null;

export function targetOf(world: World, id: string): SimTarget {
  const target = world.targets.find((one) => one.id === id);
  if (!target) throw new Error(`no target ${id}`);
  return target;
}

/** What a part still holds on its target, in words; `null` for nothing. */
export function stillHolds(world: World, part: GrantPart): string | null {
  const target = targetOf(world, part.target);
  const [marked] = target.byMark(part.id);
  return marked ? `account ${marked.name} on ${target.name}` : null;
}
