import type { Actor } from '#app/actor.ts';
import { credentialIdentity } from '#app/ports/sealed-identity.ts';
import { principalCreated, policyPublished } from '#domain/events/administration-events.ts';
import type { ApprovalStage, Entitlement, EntitlementPart } from '#domain/entitlement.ts';
import type { GroupId, KeyId, PersonId, PrincipalId } from '#domain/id.ts';
import type { Principal } from '#domain/principal.ts';
import type { Tx } from '#app/ports/store.ts';
import { SECRET } from './connector.ts';
import { SimNode } from './node.ts';
import { sourcesOf, type Rules } from './policy.ts';
import { ROOT_KEY } from './secrets.ts';
import { SimTarget } from './target.ts';
import type { World } from './world.ts';

export interface Person {
  readonly id: PrincipalId;
  readonly name: string;
  readonly key: KeyId;
}

export const ASKERS = ['ann', 'bob', 'cyd', 'robot'];
export const REVIEWERS = ['rex', 'ria', 'adam', 'roy'];
export const ENTITLEMENTS = ['orders-read', 'orders-write', 'both', 'raise', 'shared'];
export const DEFAULT_RULES: Rules = { auto: ['orders-read', 'shared'], deny: [] };
const MAX_SECONDS: Readonly<Record<string, number>> = { 'orders-read': 600, 'orders-write': 7200, both: 1800, raise: 1800, shared: 600 };

/** Three targets, eight principals, five entitlements: written by a server of the operator's, before time begins. */
export async function setUp(world: World): Promise<void> {
  const console = new SimNode(world, 'console', 0, true);
  const id = console.app.newId;
  const now = new Date(world.scheduler.now);
  for (const name of ['orders', 'sales', 'stock']) {
    const target = new SimTarget(id('target', now), name, world.scheduler);
    world.targets.push(target);
    // Those who wait for the lock meanwhile are refused, and wait up to a minute between two attempts.
    target.struck = (_, freeAt) => world.excuse(target.id, freeAt + 66_000);
    for (const asker of [...ASKERS, 'adam']) target.addAccount(asker, { password: SECRET + asker });
    target.addAccount('shared', { password: `${SECRET}shared` });
  }
  const done = console.app.store.transaction(async (tx) => {
    await tx.rootKeys.bringIn(ROOT_KEY);
    await tx.policies.publish(1, sourcesOf(DEFAULT_RULES), null, tx.now);
    await tx.log(policyPublished(1, '', 'system'));
    world.people = await people(console, tx);
    const groups = await makeGroups(console, world.people, tx);
    for (const target of world.targets) {
      await tx.catalogue.saveTarget({ id: target.id, name: target.name, type: 'sim', folder: null, config: { host: target.name }, retiredAt: null });
      const accounts = Object.fromEntries([...ASKERS, 'adam', 'shared'].map((name) => [name, SECRET + name]));
      await tx.catalogue.setCredential(target.id, console.app.secrets.seal(JSON.stringify({ own: `${SECRET}own`, accounts }), credentialIdentity(target.id)));
    }
    for (const name of ENTITLEMENTS) await tx.catalogue.saveEntitlement(entitlement(console, world, name, groups, tx.now));
  });
  done.catch((error: unknown) => world.violate('setUp', String(error)));
  await world.scheduler.run(world.scheduler.now + 5_000, () => undefined, () => 0);
  console.die();
}

async function people(node: SimNode, tx: Tx): Promise<Person[]> {
  const made: Person[] = [];
  for (const name of ['root', ...REVIEWERS, ...ASKERS]) {
    const kind = name === 'robot' ? 'workload' : 'person';
    const owner = name === 'robot' ? ((made.find((person) => person.name === 'ann')?.id ?? null) as PersonId | null) : null;
    const principal: Principal = { id: node.app.newId(kind, tx.now), kind, name, displayName: name, owner, disabledAt: null, administrator: name === 'root' || name === 'adam' };
    await tx.principals.insert(principal);
    await tx.log(principalCreated(principal.id, kind, owner, 'system'));
    const key = node.app.newId('key', tx.now);
    // Roy's sign-in was arranged by adam, who asks for access himself now and then.
    const issuedBy = name === 'roy' ? (made.find((person) => person.name === 'adam')?.id ?? null) : null;
    await tx.credentials.insertKey({ id: key, principal: principal.id, label: name, publicKey: `key of ${name}`, createdAt: tx.now, signedInAt: tx.now, signInMethod: 'link', issuedBy, lastUsedAt: null, revokedAt: null });
    made.push({ id: principal.id, name, key });
  }
  return made;
}

async function makeGroups(node: SimNode, everybody: readonly Person[], tx: Tx): Promise<Readonly<Record<string, GroupId>>> {
  const members: Readonly<Record<string, readonly string[]>> = { owners: ['rex', 'ria', 'adam', 'ann'], security: ['ria', 'roy', 'adam', 'bob'] };
  const groups: Record<string, GroupId> = {};
  for (const [name, who] of Object.entries(members)) {
    const group = node.app.newId('group', tx.now);
    groups[name] = group;
    await tx.catalogue.saveGroup({ id: group, name, title: name });
    await tx.catalogue.setMembers(group, everybody.filter((person) => who.includes(person.name)).map(({ id }) => id), new Date(tx.now.getTime() - 1000));
  }
  return groups;
}

function entitlement(node: SimNode, world: World, name: string, groups: Readonly<Record<string, GroupId>>, now: Date): Entitlement {
  const [orders, sales, stock] = world.targets.map(({ id }) => id);
  if (!orders || !sales || !stock) throw new Error('the targets are missing');
  const part = (target: SimTarget['id'], kind: EntitlementPart['kind'], account: string | null): EntitlementPart => ({ target, kind, account, scope: { roles: ['read', 'write'] } });
  const stage = (group: string, required: number): ApprovalStage => ({ name: group, groups: [groups[group] as GroupId], required });
  const parts: Readonly<Record<string, readonly EntitlementPart[]>> = {
    both: [part(orders, 'ephemeral_account', null), part(sales, 'ephemeral_account', null)],
    raise: [part(sales, 'temporary_elevation', '{name}')],
    shared: [part(stock, 'brokered_session', 'shared')],
  };
  const stages: Readonly<Record<string, readonly ApprovalStage[]>> = { 'orders-write': [stage('owners', 1)], both: [stage('owners', 1), stage('security', 2)], raise: [stage('security', 1)] };
  return {
    id: node.app.newId('entitlement', now), name, title: name, folder: null, revision: 1, parts: parts[name] ?? [part(orders, 'ephemeral_account', null)], stages: stages[name] ?? [],
    defaultDuration: 60, maxDuration: MAX_SECONDS[name] ?? 600, endMode: name === 'shared' ? 'no_new_sessions' : 'cut', warnSeconds: name === 'shared' ? 10 : 0, graceSeconds: 30, maskLiterals: true, retiredAt: null,
  };
}

export function actorOf(world: World, name: string): Actor {
  const person = world.people.find((one) => one.name === name);
  if (!person) throw new Error(`nobody is called ${name}`);
  return { id: person.id, clientAddress: '192.0.2.7', authentication: { method: 'link', at: new Date(world.scheduler.now - 60_000), phishingResistant: true, by: person.key } };
}
