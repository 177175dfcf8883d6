import { stillHolds } from '../ground-truth.ts';
import type { World } from '../world.ts';

/** Invariants 1, 6 and 10: pushed privileges are gone five seconds after they were due, whatever other targets do. */
const PUSHED_MS = 5_000;
const TOLD_MS = 5_000 + 3_000;

export function privilegesEndInTime(world: World): string | null {
  const { scheduler: { now }, memory: { tables } } = world;
  for (const [grant, since] of world.due) {
    if (now - since <= PUSHED_MS) continue;
    for (const { part } of partsOf(world, grant)) {
      if (now - Math.max(since, world.excused('everything', part.target, part.id)) <= PUSHED_MS) continue;
      const held = stillHolds(world, part);
      if (held !== null) return `${grant} was over ${Math.round(now - since)} ms ago (${tables.grants.rows.get(grant)?.state}), and still holds ${held}`;
    }
  }
  return null;
}

function partsOf({ memory: { tables } }: World, grant: string) {
  return [...tables.parts.live].flatMap((id) => {
    const row = tables.parts.rows.get(id);
    return row?.part.grant === grant ? [row] : [];
  });
}

/** Whatever ends and is not yet absent has its removal planned: for ever, however often it failed. */
export function removalIsNeverGivenUp(world: World): string | null {
  const { memory: { tables } } = world;
  for (const id of tables.parts.live) {
    const row = tables.parts.rows.get(id);
    if (!row || row.part.state === 'absent' || tables.grants.rows.get(row.part.grant)?.state !== 'revoking') continue;
    if (row.part.work !== 'withdraw' || row.part.dueAt === null) return `${id} of ${row.part.grant} is ${row.part.state}, its grant ends, and nobody is to remove it`;
  }
  return null;
}

/** A removal that is not verified is loud: in the log and on the grant, whether or not the target answers. */
export function overdueIsTold(world: World): string | null {
  const { scheduler: { now }, memory: { tables } } = world;
  for (const [id, since] of world.due) {
    const grant = tables.grants.rows.get(id);
    if (grant?.state !== 'revoking' || grant.overdueAt !== null) continue;
    if (now - Math.max(since, world.excused('everything', 'log')) > TOLD_MS) return `${id} is not verified ${Math.round(now - since)} ms after it was due, and nobody is told`;
  }
  return null;
}
