import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { EntitlementId, FolderId, GroupId, PrincipalId, TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import { connectorFor, type App } from '../app.ts';
import type { Tx } from '../ports/store.ts';
import { createPrincipalIn } from '../signin/create-principal.ts';
import { takeFromPrincipals, withdrawPending } from '../revoke-everything.ts';
import { takeAway } from '../take-away.ts';
import type { Change } from './compare.ts';
import type { Resolved } from './resolve.ts';

interface Writing {
  readonly app: App;
  readonly tx: Tx;
  readonly resolved: Resolved;
  readonly by: PrincipalId | 'system';
}

/** Writes planned changes, in their order. What is retired ends what was granted under it. */
export async function write(app: App, tx: Tx, resolved: Resolved, changes: readonly Change[], by: PrincipalId | 'system'): Promise<void> {
  const writing: Writing = { app, tx, resolved, by };
  for (const change of changes) {
    if (change.kind === 'person' || change.kind === 'workload') await writePrincipal(writing, change);
    else if (change.kind === 'group') await writeGroup(writing, change);
    else if (change.kind === 'folder') await writeFolder(writing, change);
    else if (change.kind === 'target') await writeTarget(writing, change);
    else if (change.kind === 'entitlement') await writeEntitlement(writing, change);
  }
}

async function writePrincipal({ app, tx, resolved, by }: Writing, { name }: Change): Promise<void> {
  const { people, workloads } = resolved.desired;
  const person = people[name];
  const workload = workloads[name];
  const before = await tx.principals.byName(name);
  const displayName = person?.name ?? workload?.name ?? name;
  if (!before) {
    await createPrincipalIn(app, tx, { kind: person ? 'person' : 'workload', name, displayName, owner: workload?.owner ?? null, administrator: person?.administrator ?? false }, by);
    return;
  }
  if (before.kind !== (person ? 'person' : 'workload')) throw new Refusal('conflict', `"${name}" is a ${before.kind} already`);
  const owner = workload ? await tx.principals.byName(workload.owner) : null;
  if (before.id === by && before.administrator && !person?.administrator) throw new Refusal('forbidden', 'you would take your own administration away');
  await tx.principals.update({ ...before, displayName, administrator: person?.administrator ?? false, owner: owner ? (owner.id as Extract<typeof before.owner, string>) : null });
  // A workload with a new owner answers to somebody else: what it held is not inherited, and what it asked for might now
  // be decided by whoever had it ask (A02).
  if (owner && owner.id !== before.owner) await takeFromPrincipals(tx, [before.id], 'identity_disabled', by, null);
}

async function writeGroup({ app, tx, resolved }: Writing, { name }: Change): Promise<void> {
  const wanted = resolved.desired.groups[name];
  const before = (await tx.catalogue.groups()).find((group) => group.name === name);
  const id: GroupId = before?.id ?? app.newId('group', tx.now);
  await tx.catalogue.saveGroup({ id, name, title: wanted?.title ?? '' });
  const members = await Promise.all((wanted?.members ?? []).map((member) => tx.principals.byName(member)));
  await tx.catalogue.setMembers(id, members.flatMap((member) => member?.id ?? []), tx.now);
}

async function writeFolder({ app, tx, resolved }: Writing, { name }: Change): Promise<void> {
  const wanted = resolved.desired.folders[name];
  const before = (await tx.catalogue.folders()).find((folder) => folder.name === name);
  const id: FolderId = before?.id ?? app.newId('folder', tx.now);
  await tx.catalogue.saveFolder({ id, name, title: wanted?.title ?? '', administrators: null });
}

async function writeTarget({ app, tx, resolved, by }: Writing, { name, change }: Change): Promise<void> {
  const before = await tx.catalogue.targetByName(name);
  if (change === 'retire') {
    if (!before) return;
    await tx.catalogue.saveTarget({ ...before, retiredAt: tx.now });
    await takeAway(tx, await tx.grants.lockLive({ target: before.id }), 'target_retired', by, null);
    return;
  }
  const wanted = resolved.desired.targets[name];
  const config = resolved.targets.get(name);
  if (!wanted || !config) return;
  if (before && before.type !== wanted.type) throw new Refusal('conflict', `target "${name}" is of type ${before.type}; give the new one another name`);
  const moved = before !== null && !connectorFor(app, wanted.type).samePlace(before.config, config);
  if (moved && by !== 'system') await refuseWhileHeld(tx, before);
  const id: TargetId = before?.id ?? app.newId('target', tx.now);
  await tx.catalogue.saveTarget({ id, name, type: wanted.type, folder: await folderId(tx, wanted.folder ?? null), config, retiredAt: null });
}

/** Elsewhere a removal would find nothing, and count as verified, while the account goes on where it was made (invariant 6). */
async function refuseWhileHeld(tx: Tx, { id, name }: Target): Promise<void> {
  const held = (await tx.grants.lockLive({ target: id })).filter(({ state }) => state === 'activating' || state === 'active');
  if (held.length === 0) return;
  throw new Refusal('conflict', `target "${name}" can't move to another address while ${held.length} grants stand on it`, {
    hint: 'Revoke everything on it first, then move it; or name the new one as a target of its own.',
  });
}

async function writeEntitlement({ app, tx, resolved, by }: Writing, { name, change }: Change): Promise<void> {
  const before = await tx.catalogue.entitlementByName(name);
  if (change === 'retire') {
    if (!before) return;
    await tx.catalogue.saveEntitlement({ ...before, revision: before.revision + 1, retiredAt: tx.now });
    await withdrawPending(tx, { entitlement: before.id }, by, 'the entitlement was retired');
    await takeAway(tx, await tx.grants.lockLive({ entitlement: before.id }), 'entitlement_retired', by, null);
    return;
  }
  const wanted = resolved.entitlements.get(name);
  if (!wanted) return;
  const groups = new Map((await tx.catalogue.groups()).map((group) => [group.name, group.id]));
  const targets = new Map((await tx.catalogue.targets()).map((target) => [target.name, target.id]));
  const id: EntitlementId = before?.id ?? app.newId('entitlement', tx.now);
  const entitlement: Entitlement = {
    ...wanted,
    id,
    name,
    folder: await folderId(tx, wanted.folder),
    revision: (before?.revision ?? 0) + 1,
    parts: wanted.parts.map((part) => ({ ...part, target: known(targets, part.target) })),
    stages: wanted.stages.map((stage) => ({ ...stage, groups: stage.groups.map((group) => known(groups, group)) })),
    retiredAt: null,
  };
  await tx.catalogue.saveEntitlement(entitlement);
}

async function folderId(tx: Tx, name: string | null): Promise<FolderId | null> {
  return name === null ? null : ((await tx.catalogue.folders()).find((folder) => folder.name === name)?.id ?? null);
}

/** Every name was checked before: this is only for the compiler, and for a defect of ours. */
function known<T>(ids: ReadonlyMap<string, T>, name: string): T {
  const id = ids.get(name);
  if (id === undefined) throw new Refusal('internal', `"${name}" was checked and is not there`);
  return id;
}
