import { setTimeout as sleep } from 'node:timers/promises';
import type { Tx } from '#app/ports/store.ts';
import { grant, part, request } from '#test/worlds/store-world.ts';
import type { BrevetWorld } from '#test/worlds/brevet-world.ts';

export interface MassGrant {
  readonly id: string;
  readonly role: string;
  readonly entitlement: string;
}

const PER_TRANSACTION = 100;

/**
 * Many grants whose accounts really stand on their targets: written into the store as approved requests would have been,
 * made by the reconciler. `entitlements` in turn. Their time is an hour.
 */
export async function massGrants(world: BrevetWorld, count: number, people: readonly string[], entitlements: readonly string[]): Promise<readonly MassGrant[]> {
  const { store } = world.server.app;
  const made: MassGrant[] = [];
  for (let from = 0; from < count; from += PER_TRANSACTION) {
    await store.transaction(async (tx) => {
      for (let n = from; n < Math.min(count, from + PER_TRANSACTION); n++) made.push(await insertOne(tx, people[n % people.length] ?? '', entitlements[n % entitlements.length] ?? ''));
      await tx.notify('work');
    });
  }
  const ids = made.map(({ id }) => id);
  for (;;) {
    const { rows } = await world.database.pool.query<{ n: number }>("select count(*)::integer as n from brevet.grants where id = any($1) and state = 'active'", [ids]);
    if (rows[0]?.n === count) return made;
    await sleep(250);
  }
}

async function insertOne(tx: Tx, person: string, name: string): Promise<MassGrant> {
  const principal = await tx.principals.byName(person);
  const entitlement = await tx.catalogue.entitlementByName(name);
  if (!principal || !entitlement) throw new Error(`there is no ${person} or ${name}`);
  const asked = request(entitlement, principal.id, tx.now, { durationSeconds: 3600 });
  await tx.requests.insert(asked);
  await tx.requests.decide(asked.id, 'approved', tx.now, null);
  const approved = grant(asked, tx.now, { state: 'activating' });
  await tx.grants.insert(approved);
  const only = part(approved, 0);
  await tx.parts.insert(only);
  await tx.parts.due(only.id, 'provision', tx.now);
  return { id: approved.id, role: only.objectName, entitlement: name };
}

/** Moves the deadlines of these grants to random instants within `overSeconds`, `leadSeconds` from now; answers each one's, by the store's clock. */
export async function moveDeadlines(world: BrevetWorld, grants: readonly MassGrant[], leadSeconds: number, overSeconds: number): Promise<ReadonlyMap<string, number>> {
  const { rows } = await world.database.pool.query<{ id: string; deadline: Date }>(
    `with due as (select date_trunc('milliseconds', clock_timestamp()) + $2 * interval '1 second' as at), moved as (
       update brevet.grants set deadline = due.at + floor(random() * 1000 * $3) * interval '1 millisecond' from due where id = any($1) returning id, deadline)
     select id, deadline from moved`, [grants.map(({ id }) => id), leadSeconds, overSeconds]);
  await world.database.pool.query("select pg_notify('brevet_work', '')");
  return new Map(rows.map(({ id, deadline }) => [id, deadline.getTime()]));
}
