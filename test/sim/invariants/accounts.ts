import type { PartRow } from '../store/memory.ts';
import { objectName, type Grant } from '#domain/grant.ts';
import { stillHolds, targetOf } from '../ground-truth.ts';
import { valueIn } from '../secrets.ts';
import type { Commit, World } from '../world.ts';

/** The sweeper comes once a minute, looks four times as often, and does what it finds at once. */
const SWEPT_MS = 60_000 + 15_000 + 10_000;

/** Invariant 4: at most one account for each part, with the name that its grant gives it, and never one without a recorded intent. */
export function accountsHaveOneIntent(world: World): string | null {
  for (const target of world.targets) {
    const seen = new Set<string>();
    for (const { mark, name } of target.accounts.values()) {
      if (mark === null) continue;
      if (seen.has(mark.part)) return `${mark.part} has two accounts on ${target.name}`;
      seen.add(mark.part);
      const part = world.memory.tables.parts.rows.get(mark.part)?.part;
      if (part === undefined && world.restoredAt === null) return `account ${name} on ${target.name} is of no recorded part`;
      const meant = part && objectName(part.grant, part.ordinal);
      if (meant !== undefined && name !== meant && !world.tampered.has(mark.part)) return `account ${name} on ${target.name} should be called ${meant}`;
    }
  }
  return null;
}

/** Invariant 6, afterwards: what was read back as gone does not come again. */
export function absentStaysAbsent(world: World): string | null {
  if (world.restoredAt !== null) return null;
  for (const target of world.targets) {
    for (const { mark, name } of target.accounts.values()) {
      const row = mark === null ? undefined : world.memory.tables.parts.rows.get(mark.part);
      if (row?.part.state === 'absent') return `${row.part.id} was read back as gone, and ${name} on ${target.name} holds its privilege`;
    }
  }
  return null;
}

/** The third net: what no live grant owns is gone with the next sweep. */
export function strangersAreSwept(world: World): string | null {
  const { now } = world.scheduler;
  for (const [key, since] of world.foreign) {
    const target = world.targets.find(({ name }) => key.startsWith(`${name} `));
    if (target && now - Math.max(since, world.excused('everything', target.id)) > SWEPT_MS) return `${key} is of no live grant, and was not swept`;
  }
  return null;
}

/**
 * What is granted stands: nobody takes a live grant's account away but its removal, and what was due may be gone before its end
 * is written: a clock that goes back brings nothing back.
 */
export function liveAccountsStand(world: World): string | null {
  const { memory: { tables } } = world;
  for (const id of tables.parts.live) {
    const row = tables.parts.rows.get(id);
    const grant = row && tables.grants.rows.get(row.part.grant);
    if (row?.part.state !== 'present' || row.part.kind === 'brokered_session' || grant?.state !== 'active' || world.tampered.has(row.part.id)) continue;
    if (world.restoredGrants.has(grant.id) || world.wasDue.has(grant.id)) continue;
    if (stillHolds(world, row.part) === null) return `${id} of ${grant.id} is live, and its account is gone`;
  }
  return null;
}

/** The secret that is kept for a live account is the one that opens it. */
export function keptSecretsFit(world: World): string | null {
  const { tables } = world.memory;
  for (const id of tables.parts.live) {
    const row = tables.parts.rows.get(id);
    if (row?.part.state !== 'present' || row.part.work !== null || row.secret === null || world.restoredAt !== null || world.tampered.has(id)) continue;
    const [, value] = valueIn(row.secret);
    const [account] = targetOf(world, row.part.target).byMark(row.part.id);
    if (account && account.password !== null && account.password !== Buffer.from(value, 'base64').toString('utf8')) return `the secret kept for ${id} does not open ${account.name}`;
  }
  return null;
}

/** Invariant 6: at the moment at which a part counts as absent, or a grant as ended, the target holds nothing of it. */
export function endedMeansReadBack(world: World, { changes }: Commit): string | null {
  for (const { table, before, after } of changes) {
    if (table === 'grants' && (after as Grant).state === 'ended' && (before as Grant | null)?.state !== 'ended') {
      for (const { part } of world.memory.tables.parts.rows.values()) {
        const held = part.grant === (after as Grant).id ? stillHolds(world, part) : null;
        if (held !== null) return `${part.grant} counts as ended, and holds ${held}`;
      }
    }
    if (table !== 'grant_parts') continue;
    const [was, is] = [(before as PartRow | null)?.part, (after as PartRow).part];
    if (is.state !== 'absent' || was?.state === 'absent') continue;
    const held = stillHolds(world, is);
    if (held !== null) return `${is.id} counts as absent, and holds ${held}`;
  }
  return null;
}
