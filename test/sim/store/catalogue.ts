import type { CatalogueTable } from '#app/ports/store.ts';
import type { TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { TargetRow } from './memory.ts';
import { byText, pageAfter } from './ordering.ts';
import type { Transaction } from './transaction.ts';

const HEALTHY = { checkedAt: null, unreachableSince: null, problem: null, skewMs: null, version: null, sweptAt: null };
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const name = byText((row: { readonly name: string }) => row.name);

export function catalogueTable(tx: Transaction): CatalogueTable {
  const { folders, targets } = tx.tables;
  const allTargets = () => tx.all(targets).map(({ target }) => target).sort(name);
  return {
    lockAll: () => tx.run('catalogue.lockAll', () => tx.hold('catalogue')),
    ...groupRows(tx),
    ...entitlementRows(tx),
    folders: () => tx.run('catalogue.folders', () => tx.all(folders).sort(name)),
    saveFolder: (folder) => tx.run('catalogue.saveFolder', () => tx.upsert(folders, folder.id, () => folder)),
    targets: () => tx.run('catalogue.targets', allTargets),
    targetPage: (page) => tx.run('catalogue.targetPage', () => pageAfter(allTargets(), (row) => row.name, page)),
    targetsWithIds: (ids) => tx.run('catalogue.targetsWithIds', () => allTargets().filter(({ id }) => ids.includes(id))),
    target: (id) => tx.run('catalogue.target', () => tx.get(targets, id)?.target ?? null),
    targetByName: (wanted) => tx.run('catalogue.targetByName', () => allTargets().find((one) => one.name === wanted) ?? null),
    saveTarget: (target) => tx.run('catalogue.saveTarget', () => tx.upsert(targets, target.id, (row) => ({
      target,
      credential: row?.credential ?? null,
      health: { ...(row?.health ?? HEALTHY), skewMs: row && same(row.target.config, target.config) ? row.health.skewMs : null },
    }))),
    credential: (id) => tx.run('catalogue.credential', () => tx.get(targets, id)?.credential ?? null),
    setCredential: (id, credential) => tx.run('catalogue.setCredential', async () => {
      await tx.update(targets, tx.all(targets), (row) => row.target.id, (row) => row.target.id === id, (row) => ({ ...row, credential }));
    }),
    health: (id) => tx.run('catalogue.health', () => tx.get(targets, id)?.health ?? null),
    healthOf: (ids) => tx.run('catalogue.healthOf', () => new Map(tx.all(targets)
      .filter(({ target }) => ids.includes(target.id))
      .map(({ target, health, credential }) => [target.id, { ...health, hasCredential: credential !== null }]))),
    claimSweeps: (before) => tx.run('catalogue.claimSweeps', () => claimSweeps(tx, before)),
    setHealth: (id, health) => tx.run('catalogue.setHealth', async () => {
      const given = Object.fromEntries(Object.entries(health).filter(([, value]) => value !== undefined));
      await tx.update(targets, tx.all(targets), (row) => row.target.id, (row) => row.target.id === id, (row) => ({ ...row, health: { ...row.health, ...given } }));
    }),
  };
}

function claimSweeps(tx: Transaction, before: Date): TargetId[] {
  const { targets } = tx.tables;
  const { now } = tx;
  const isDue = ({ health, credential }: TargetRow) => health.unreachableSince === null && credential !== null
    && (health.sweptAt === null || health.sweptAt <= before || health.sweptAt.getTime() > 2 * now.getTime() - before.getTime());
  const claimed: TargetId[] = [];
  for (const { target: { id } } of tx.all(targets).filter(isDue).sort(byText(({ target }) => target.id))) {
    const row = tx.tryLock(targets, id) ? tx.get(targets, id) : null;
    if (!row || !isDue(row)) continue;
    tx.put(targets, id, { ...row, health: { ...row.health, sweptAt: now } });
    claimed.push(id);
  }
  return claimed;
}

function groupRows(tx: Transaction): Pick<CatalogueTable, 'groups' | 'saveGroup' | 'members' | 'setMembers'> {
  const { groups, members } = tx.tables;
  const of = (group: string) => tx.all(members).filter((row) => row.group === group).sort(byText(({ principal }) => principal));
  return {
    groups: () => tx.run('catalogue.groups', () => tx.all(groups).sort(name)),
    saveGroup: (group) => tx.run('catalogue.saveGroup', () => tx.upsert(groups, group.id, () => group)),
    members: (group) => tx.run('catalogue.members', () => of(group).map(({ principal, since }) => ({ principal, since }))),
    setMembers: (group, wanted, since) => tx.run('catalogue.setMembers', async () => {
      for (const { principal } of of(group).filter((row) => !wanted.includes(row.principal))) {
        await tx.lock(members, `${group} ${principal}`);
        tx.put(members, `${group} ${principal}`, null);
      }
      for (const principal of wanted) await tx.insertIfNew(members, `${group} ${principal}`, { group, principal, since });
    }),
  };
}

function entitlementRows(tx: Transaction): Pick<CatalogueTable, 'entitlements' | 'entitlementPage' | 'entitlement' | 'entitlementByName' | 'saveEntitlement'> {
  const { entitlements } = tx.tables;
  return {
    entitlements: () => tx.run('catalogue.entitlements', () => tx.all(entitlements).sort(name)),
    entitlementPage: (page) => tx.run('catalogue.entitlementPage', () => pageAfter(tx.all(entitlements).filter((row) => row.retiredAt === null), (row) => row.name, page)),
    entitlement: (id) => tx.run('catalogue.entitlement', () => tx.get(entitlements, id)),
    entitlementByName: (wanted) => tx.run('catalogue.entitlementByName', () => tx.all(entitlements).find((one) => one.name === wanted) ?? null),
    saveEntitlement: (next) => tx.run('catalogue.saveEntitlement', () => tx.upsert(entitlements, next.id, (before) => {
      if (before === null || next.revision > before.revision || same(before, next)) return next;
      throw new Refusal('conflict', `entitlement ${next.name} was changed in between: it is past revision ${next.revision}`);
    })),
  };
}
