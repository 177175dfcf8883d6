import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyEngine, PolicyQuestion, Verdict } from '#app/ports/policy.ts';
import type { GrantPart, Session } from '#domain/grant.ts';
import type { BrokerId } from '#domain/id.ts';
import { postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { held, newId, session, type Held } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import type { Store } from '../ports/store.ts';
import { renewSessions } from './renew-sessions.ts';

const VERDICT: Verdict = { allowed: true, policyVersion: 1, satisfied: [], forbidden: [], nearest: [], failed: [] };

/** Answers as `allows` says, and remembers what it was asked. */
function policy(allows: (question: PolicyQuestion) => boolean) {
  const asked: PolicyQuestion[] = [];
  const decide: PolicyEngine['decide'] = (_, question) => {
    asked.push(question);
    return { ...VERDICT, allowed: allows(question) };
  };
  return { asked, decide, validate: () => [] };
}

const partOf = ({ parts }: Held) => parts[0] as GrantPart;

test('sessions are judged without holding their rows, and what they share is asked once', async () => {
  await using world = await postgresStoreWorld();
  const broker = newId('broker', new Date()) as BrokerId;
  const [one, two] = await world.store.transaction(async (tx) => [await held(tx), await held(tx)] as const);
  const sessions = await world.store.transaction(async (tx) => {
    const made = Array.from({ length: 200 }, (_, n) => session(n % 2 === 0 ? one.grant : two.grant, partOf(n % 2 === 0 ? one : two), tx.now, { broker, clientAddress: n === 199 ? '192.0.2.99' : '192.0.2.7' }));
    for (const each of made) await tx.sessions.insert(each);
    return made;
  });
  const last = sessions[199] as Session;
  let heldMeanwhile: number | null = null;
  // As somebody who ends all these sessions would: takes every row, without waiting, while they are judged.
  const store: Store = {
    ...world.store,
    transaction: (work) => world.store.transaction((tx) => work({
      ...tx,
      policies: {
        ...tx.policies,
        current: async () => {
          const { rowCount } = await world.db.pool.query('select from brevet.sessions for update skip locked');
          heldMeanwhile = sessions.length - (rowCount ?? 0);
          return await tx.policies.current();
        },
      },
    })),
  };
  const engine = policy((question) => question.context.clientIp !== '192.0.2.99');
  const orders = await renewSessions({ store, policy: engine } as unknown as App, broker, [...sessions.map(({ id }) => id), newId('session', new Date())]);
  assert.equal(heldMeanwhile, 0, 'rows are locked while they are judged');
  assert.equal(engine.asked.length, 3, 'two who share an entitlement and an address, and one elsewhere');
  assert.deepEqual([orders.length, orders.filter(({ order }) => order === 'deadline').length], [201, 199]);
  assert.deepEqual(orders.slice(199).map((order) => order.order === 'cut' && order.reason), ['policy_denied', 'grant_ended']);
  const stored = await world.store.transaction((tx) => tx.sessions.byId(last.id));
  assert.equal(stored?.cutReason, 'policy_denied', 'it stays denied');
  assert.ok((stored?.leaseUntil ?? 0) > last.leaseUntil);
});
