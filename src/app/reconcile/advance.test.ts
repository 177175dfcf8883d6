import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from '#app/ports/policy.ts';
import type { Journal } from '#app/ports/runtime.ts';
import type { Store, Tx } from '#app/ports/store.ts';
import { Refusal } from '#domain/refusal.ts';
import { postgresStoreWorld, quiet, type PostgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { catalogue, held, later, monotonic, type Held } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import { advance } from './advance.ts';
import { runReconciler } from './reconciler.ts';

const REFUSED: Verdict = {
  allowed: false, policyVersion: 1, satisfied: [], nearest: [], failed: [],
  forbidden: [{ id: 'freeze', effect: 'forbid', reason: 'a freeze' }],
};

function appOn({ store }: { store: Store }, journal: Journal = quiet, allowed = true): App {
  const policy = { decide: () => ({ ...REFUSED, allowed }), validate: () => [] };
  return { store, journal, monotonic, policy, connectors: new Map() } as unknown as App;
}

/** A row that no update of its state gets past, as a defect of ours or a damaged row would be. */
async function spoil({ db }: PostgresStoreWorld, { grant }: Held): Promise<void> {
  await db.pool.query(`create function brevet.spoilt() returns trigger language plpgsql as $$ begin raise exception 'spoilt'; end $$;
    create trigger spoilt before update on brevet.grants for each row when (old.id = '${grant.id}') execute function brevet.spoilt()`);
}

const stateOf = ({ store }: PostgresStoreWorld, { grant }: Held) => store.transaction(async (tx) => (await tx.grants.byId(grant.id))?.state);

test('one row that cannot be moved does not keep those behind it, and is told of loudly', async () => {
  await using world = await postgresStoreWorld();
  const due = await world.store.transaction(async (tx) => [
    await held(tx, { deadline: later(tx.now, -3000) }), await held(tx, { deadline: later(tx.now, -2000) }), await held(tx, { deadline: later(tx.now, -1000) })] as const);
  await spoil(world, due[0]);
  const told: unknown[] = [];
  assert.ok((await advance(appOn(world, { ...quiet, error: (_, facts) => void told.push(facts?.['row']) }))) >= 2);
  assert.deepEqual(await Promise.all(due.map((one) => stateOf(world, one))), ['active', 'revoking', 'revoking']);
  assert.deepEqual(told, [due[0].grant.id]);
});

test('a reconciler does not spin on what it cannot move, tries it again, and goes on with the rest', async () => {
  await using world = await postgresStoreWorld();
  const bad = await world.store.transaction((tx) => held(tx, { deadline: later(tx.now, -3000) }));
  await spoil(world, bad);
  let transactions = 0;
  const store: Store = {
    ...world.store,
    transaction: (work) => {
      transactions += 1;
      return world.store.transaction(work);
    },
  };
  const halt = new AbortController();
  const running = runReconciler(appOn({ store }), { concurrency: 2, perTarget: 2, sweepEveryMs: 60_000 }, halt.signal);
  try {
    await sleep(2000);
    assert.ok(transactions < 200, `${transactions} transactions in 2 s`);
    const good = await world.store.transaction((tx) => held(tx, { deadline: later(tx.now, 300) }));
    await sleep(800);
    assert.notEqual(await stateOf(world, good), 'active');
    await world.db.pool.query('drop trigger spoilt on brevet.grants');
    await sleep(4200);
  } finally {
    halt.abort();
    await running;
  }
  assert.notEqual(await stateOf(world, bad), 'active', 'what was mended is moved');
});

/** What may have changed between approval and start, and what the end is then put down to. */
const OBSTACLES: Readonly<Record<string, readonly [(tx: Tx, has: Held) => Promise<void>, string]>> = {
  'the holder was disabled': [(tx, { principal }) => tx.principals.update({ ...principal, disabledAt: tx.now }), 'identity_disabled'],
  'the entitlement was retired': [(tx, { entitlement }) => tx.catalogue.saveEntitlement({ ...entitlement, revision: 2, retiredAt: tx.now }), 'entitlement_retired'],
  'the target was retired': [async (tx, { targets }) => {
    for (const target of targets) await tx.catalogue.saveTarget({ ...target, retiredAt: tx.now });
  }, 'target_retired'],
  'policy does not permit it': [async () => undefined, 'policy_changed'],
};

for (const [what, [change, reason]] of Object.entries(OBSTACLES)) {
  test(`a grant that may not start, since ${what}, ends as ${reason}`, async () => {
    await using world = await postgresStoreWorld();
    const has = await world.store.transaction(async (tx) => {
      const made = await held(tx, { state: 'scheduled' });
      await change(tx, made);
      return made;
    });
    await advance(appOn(world, quiet, reason !== 'policy_changed'));
    assert.equal((await world.store.transaction((tx) => tx.grants.byId(has.grant.id)))?.endReason, reason);
    const { rows } = await world.db.pool.query<{ body: string }>("select body from brevet.log_entries where type = 'grant.revoking'");
    const { data } = JSON.parse(rows[0]?.body ?? '{}') as { data: Record<string, unknown> };
    const absent = await world.db.pool.query<{ body: string }>("select body from brevet.log_entries where type = 'grant.part_absent'");
    assert.deepEqual(absent.rows.map(({ body }) => body.includes(`"part":"${has.parts[0]?.id}"`)), [true], 'what was never touched is told as absent');
    assert.deepEqual([data['reason'], data['policies']], [reason, reason === 'policy_changed' ? ['freeze'] : undefined]);
  });
}

test('a crowd of deadlines goes before everything else, until it has passed or can\'t be written', async () => {
  await using world = await postgresStoreWorld();
  const { store } = world;
  const of = await store.transaction((tx) => catalogue(tx));
  const waits = await store.transaction((tx) => held(tx, { state: 'scheduled' }));
  const crowd = async (hundreds: number) => {
    for (let n = 0; n < hundreds; n++) await store.transaction(async (tx) => {
      for (let i = 0; i < 100; i++) await held(tx, { of, deadline: later(tx.now, -1000) });
    });
  };
  await crowd(6);
  const active = async () => Number((await world.db.pool.query<{ n: string }>("select count(*) as n from brevet.grants where state = 'active'")).rows[0]?.n);
  const rush = { on: false };
  const seen: unknown[] = [];
  const looking = { ...store, transaction: ((work) => store.transaction((tx) => work({ ...tx, grants: { ...tx.grants, lockDue: (...ask) => (seen.push(rush.on), tx.grants.lockDue(...ask)) } }))) as Store['transaction'] };
  const judging = { decide: () => seen.push('a start') && { ...REFUSED, allowed: true }, validate: () => [] };
  const app = { ...appOn({ store: looking }), policy: judging } as unknown as App;
  assert.ok((await advance(app, undefined, { rush })) > 600);
  assert.deepEqual([seen, rush.on, await active(), await stateOf(world, waits)], [[false, true, 'a start'], false, 0, 'activating']);
  await crowd(6);
  let answers = 1;
  const failing = { ...store, transaction: ((work) => store.transaction((tx) => work({ ...tx, grants: { ...tx.grants, lockDue: (...ask) => {
    if (answers-- === 0) throw new Refusal('unavailable', 'the store is away');
    return tx.grants.lockDue(...ask);
  } } }))) as Store['transaction'] };
  await assert.rejects(advance(appOn({ store: failing }), undefined, { rush }), /away/);
  assert.deepEqual([rush.on, await active()], [false, 100], 'the lanes have their places back');
});
