import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { RootKeyKeeper } from '#app/ports/root-keys.ts';
import { credentialIdentity } from '#app/ports/sealed-identity.ts';
import { Refusal } from '#domain/refusal.ts';
import { encodeEntry } from '#log/entry.ts';
import { KeyRing, rootKeyOf, type RootKey } from '#secrets/root-key.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { postgresStore } from '#store/postgres-store.ts';
import { testDatabase } from '#test/worlds/database.ts';
import { quiet } from '#test/worlds/postgres-store-world.ts';
import { monotonic as clock, newId, person, target } from '#test/worlds/store-world.ts';
import { holdRootKeys, takeUpRootKeys } from './hold-root-keys.ts';
import { listRootKeys } from './list-root-keys.ts';
import { retireRootKeys } from './retire-root-keys.ts';
import { rotateRootKey } from './rotate-root-key.ts';

const monotonic = { ...clock, sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal).catch(() => undefined) };

/** Key files as several processes see them; `down` is a provider that does not answer. */
class Shelf {
  keys: RootKey[] = [];
  down = false;
  load(): readonly RootKey[] {
    if (this.down) throw new Refusal('unavailable', 'the provider is down');
    return this.keys;
  }
}

function process(shelf: Shelf, db: Awaited<ReturnType<typeof testDatabase>>) {
  const ring = new KeyRing(shelf.load());
  const keys: RootKeyKeeper = {
    get ids() { return ring.ids; },
    get sealsUnder() { return ring.newest.id; },
    reload: async (keep) => {
      ring.choose(ring.newest.id);
      const has = shelf.load();
      ring.replace([...has, ...ring.keys.filter((key) => keep.includes(key.id) && !has.includes(key))]);
    },
    sealUnder: (id) => ring.choose(id),
    add: async () => {
      shelf.keys = [rootKeyOf(randomBytes(32)), ...shelf.keys];
      await keys.reload([]);
      return shelf.keys[0]?.id ?? null;
    },
    remove: async (ids) => {
      const gone = shelf.keys.filter(({ id }) => ids.includes(id));
      shelf.keys = shelf.keys.filter((key) => !gone.includes(key));
      return gone.map(({ id }) => id);
    },
  };
  const secrets = makeSecrets(ring, { bytes: randomBytes });
  const store = postgresStore({ pool: db.pool, newId, secrets, journal: quiet, monotonic, encodeEntry });
  return { app: { store, secrets, journal: quiet }, keys, ring, holding: { keys, server: randomBytes(4).toString('hex'), host: 'here' }, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

async function world() {
  const stack = new AsyncDisposableStack();
  const db = stack.use(await testDatabase());
  const shelf = new Shelf();
  shelf.keys = [rootKeyOf(randomBytes(32))];
  const server = stack.use(process(shelf, db));
  await takeUpRootKeys(server.app, server.holding);
  const running = new AbortController();
  const held = holdRootKeys(server.app, server.holding, monotonic, running.signal);
  stack.defer(async () => {
    running.abort();
    await held;
  });
  const made = target();
  await server.app.store.transaction(async (tx) => {
    await tx.principals.insert(person());
    await tx.catalogue.saveTarget(made);
    await tx.catalogue.setCredential(made.id, server.app.secrets.seal('of-the-target', credentialIdentity(made.id)));
  });
  const opens = (by: { app: typeof server.app } = server) => by.app.store.transaction(async (tx) => by.app.secrets.openText((await tx.catalogue.credential(made.id)) ?? Buffer.alloc(0), credentialIdentity(made.id)));
  const command = () => stack.use(process(shelf, db));
  const rotate = (by: ReturnType<typeof process>) => rotateRootKey({ app: by.app, keys: by.keys, monotonic, tell: () => undefined });
  return { db, shelf, server, target: made, opens, command, rotate, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
const types = (db: { pool: { query(sql: string): Promise<{ rows: { type: string }[] }> } }) => db.pool.query("select type from brevet.log_entries where type like 'root_key.%' order by arrival").then(({ rows }) => rows.map(({ type }) => type));
const refused = (code: string, words: RegExp) => (error: unknown) => error instanceof Refusal && error.code === code && words.test(error.message);

test('a key comes into force when the running server has it; then everything is under it, and the old one goes', async () => {
  await using w = await world();
  const [first] = w.shelf.keys;
  const operator = w.command();
  const done = await w.rotate(operator);
  assert.deepEqual([done.made, done.rewrapped, done.left, done.broken], [true, 2, 0, []]);
  assert.deepEqual([w.server.keys.sealsUnder, await w.opens()], [done.key, 'of-the-target']);
  const list = await listRootKeys(operator.app, operator.keys);
  assert.deepEqual(list.keys.map(({ id, state, sealed }) => [id, state, sealed]), [[done.key, 'in_force', { 'subject key': 1, 'target credential': 1 }], [first?.id, 'old', {}]]);
  assert.deepEqual(await retireRootKeys(operator.app, operator.keys), { retired: [first?.id], deleted: [first?.id] });
  assert.deepEqual(await retireRootKeys(operator.app, operator.keys), { retired: [], deleted: [] });
  await using later = process(w.shelf, w.db);
  await takeUpRootKeys(later.app, later.holding);
  assert.equal(await w.opens(later), 'of-the-target');
  assert.deepEqual(await types(w.db), ['root_key.brought_in', 'root_key.rotated', 'root_key.retired']);
});

test('a server that cannot load the new key keeps it out of force, and works on with the old one', { timeout: 90_000 }, async () => {
  await using w = await world();
  const operator = w.command();
  const { keys } = w.shelf;
  await operator.keys.add();
  const both = w.shelf.keys;
  w.shelf.keys = keys;
  const blind: RootKeyKeeper = Object.assign(Object.create(operator.keys) as RootKeyKeeper, { reload: async () => undefined });
  let ms = 0;
  const impatient = { now: () => ms, sleep: async () => void (ms += 20_000) };
  await assert.rejects(rotateRootKey({ app: operator.app, keys: blind, monotonic: impatient, tell: () => undefined }), refused('conflict', /do not come to load .* here/));
  assert.equal(await w.opens(), 'of-the-target');
  assert.deepEqual(await types(w.db), []);
  // Who starts now, with the new key first, seals under the one in force: as after the restore of an older backup.
  w.shelf.keys = both;
  await using starting = process(w.shelf, w.db);
  await takeUpRootKeys(starting.app, starting.holding);
  assert.deepEqual([starting.keys.ids.length, starting.keys.sealsUnder], [2, keys[0]?.id]);
  await starting.app.store.transaction((tx) => tx.rootKeys.release(starting.holding.server));
  // The provider comes to hold it; the run after makes no third key. Then it fails, and what is in memory goes on.
  const done = await w.rotate(w.command());
  assert.deepEqual([done.made, done.key, w.shelf.keys.length], [false, both[0]?.id, 2]);
  w.shelf.down = true;
  await monotonic.sleep(2500);
  assert.equal(await w.opens(), 'of-the-target');
});

test('a value under a key that is not in force, or is retired, does not commit; a key with anything under it stays', async () => {
  await using w = await world();
  const strange = makeSecrets(new KeyRing([rootKeyOf(randomBytes(32))]), { bytes: randomBytes });
  const set = (secrets: typeof strange) => w.server.app.store.transaction((tx) => tx.catalogue.setCredential(w.target.id, secrets.seal('x', credentialIdentity(w.target.id))));
  await assert.rejects(set(strange), refused('conflict', /./));
  const asleep = makeSecrets(new KeyRing(w.shelf.keys), { bytes: randomBytes });
  const [first] = w.shelf.keys;
  await assert.rejects(w.server.app.store.transaction((tx) => tx.rootKeys.forget(String(first?.id))), refused('conflict', /./));
  const operator = w.command();
  await w.rotate(operator);
  await set(asleep);
  await assert.rejects(retireRootKeys(operator.app, operator.keys), refused('conflict', /1 of the kind "target credential"/));
  const again = await w.rotate(operator);
  assert.deepEqual([again.made, again.rewrapped], [false, 1]);
  await retireRootKeys(operator.app, operator.keys);
  await assert.rejects(set(asleep), refused('conflict', /./));
});

test('a value that does not open is told, and keeps the old key', async () => {
  await using w = await world();
  await w.db.pool.query('update brevet.targets set credential = set_byte(credential, 60, get_byte(credential, 60) # 1)');
  const operator = w.command();
  const done = await w.rotate(operator);
  assert.deepEqual([done.broken, done.left], [[credentialIdentity(w.target.id)], 1]);
  await assert.rejects(retireRootKeys(operator.app, operator.keys), refused('conflict', /target credential/));
});

test('a server without a key of this database does not start; with keys given by hand, the command says what to do', async () => {
  await using w = await world();
  const other = new Shelf();
  other.keys = [rootKeyOf(randomBytes(32))];
  await using stranger = process(other, w.db);
  await assert.rejects(takeUpRootKeys(stranger.app, stranger.holding), refused('invalid_configuration', /does not open what this database holds/));
  const operator = w.command();
  const given: RootKeyKeeper = Object.assign(Object.create(operator.keys) as RootKeyKeeper, { add: async () => null, remove: async () => null });
  await assert.rejects(rotateRootKey({ app: operator.app, keys: given, monotonic, tell: () => undefined }), refused('invalid_configuration', /by hand/));
});
