import type { PolicyPrincipal } from '../ports/policy.ts';
import type { Tx } from '../ports/store.ts';
import type { Desired } from './desired.ts';

/**
 * Who there will be once the files are applied: who is there and not disabled, and who is new in the files, with the groups
 * that the files give. A group that they don't name is emptied.
 */
export async function peopleAfter(tx: Tx, desired: Desired): Promise<readonly PolicyPrincipal[]> {
  const standing = await tx.principals.all();
  const nameOf = new Map(standing.map((one) => [one.id as string, one.name]));
  const disabled = new Set(standing.filter((one) => one.disabledAt !== null).map((one) => one.name));
  const after = new Map<string, Omit<PolicyPrincipal, 'groups'>>();
  for (const { id, kind, name, owner, administrator } of standing) after.set(name, { kind, id, name, owner: nameOf.get(owner ?? '') ?? null, administrator });
  for (const [name, { administrator }] of Object.entries(desired.people)) after.set(name, { kind: 'person', id: after.get(name)?.id ?? name, name, owner: null, administrator });
  for (const [name, { owner }] of Object.entries(desired.workloads)) after.set(name, { kind: 'workload', id: after.get(name)?.id ?? name, name, owner, administrator: false });
  const groupsOf = (name: string) => Object.entries(desired.groups).filter(([, { members }]) => members.includes(name)).map(([group]) => group);
  return [...after.values()].filter(({ name, owner }) => !disabled.has(name) && !disabled.has(owner ?? '')).map((one) => ({ ...one, groups: groupsOf(one.name) }));
}
