import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '#app/ports/store.ts';
import type { GrantPart } from '#domain/grant.ts';
import { postgresStoreWorld } from '#test/worlds/postgres-store-world.ts';
import { held, newId, session } from '#test/worlds/store-world.ts';
import type { App } from '../app.ts';
import type { SessionEnd } from '../ports/gate.ts';
import { noteEnds } from './note-ends.ts';

/** Sessions of one grant, a store that counts its transactions, and what the log holds of ends. */
async function endings(count: number) {
  const world = await postgresStoreWorld();
  const sessions = await world.store.transaction(async (tx) => {
    const { grant, parts } = await held(tx);
    const made = Array.from({ length: count }, () => session(grant, parts[0] as GrantPart, tx.now));
    for (const each of made) await tx.sessions.insert(each);
    return made;
  });
  const counted = { transactions: 0 };
  const store: Store = { ...world.store, transaction: (work) => (counted.transactions++, world.store.transaction(work)) };
  const ends = sessions.map(({ id }, n): SessionEnd => ({ session: id, reason: 'client_closed', counters: { statements: n, bytesIn: 1, bytesOut: 2 } }));
  const logged = async () => (await world.db.pool.query<{ session_id: string }>("select session_id from brevet.log_entries where type = 'session.ended'")).rows.map((row) => row.session_id).sort();
  const stored = (end: SessionEnd) => world.store.transaction((tx) => tx.sessions.byId(end.session));
  return { app: { store } as unknown as App, ends, counted, logged, stored, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

test('sessions that end together are written together, each with its own entry and counters, and told twice count once', async () => {
  await using world = await endings(1200);
  const note = noteEnds(world.app);
  const unknown: SessionEnd = { session: newId('session', new Date()), reason: 'client_closed', counters: { statements: 0, bytesIn: 0, bytesOut: 0 } };
  await Promise.all([...world.ends, world.ends[7] as SessionEnd, unknown].map((end) => note(end)));
  assert.ok(world.counted.transactions <= 4, `${world.counted.transactions} transactions`);
  assert.deepEqual(await world.logged(), world.ends.map(({ session: id }) => id).sort());
  const last = world.ends[1199] as SessionEnd;
  assert.deepEqual([(await world.stored(last))?.state, (await world.stored(last))?.statements], ['ended', 1199]);
  await note(last);
  assert.equal((await world.logged()).length, 1200);
});

test('one end that cannot be written fails alone', async () => {
  await using world = await endings(6);
  const note = noteEnds(world.app);
  const bad = { ...(world.ends[3] as SessionEnd), counters: { statements: 0.5, bytesIn: 0, bytesOut: 0 } };
  const answers = await Promise.allSettled(world.ends.map((end, n) => note(n === 3 ? bad : end)));
  assert.deepEqual(answers.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  assert.equal((await world.logged()).length, 5);
});
