/** A PostgreSQL store on a database of its own, made of the real pieces; only the key provider can be broken. */
import { randomBytes } from 'node:crypto';
import type { Journal } from '#app/ports/runtime.ts';
import type { Secrets } from '#app/ports/secrets.ts';
import type { Store } from '#app/ports/store.ts';
import type { LogTree, SignCheckpoint } from '#app/ports/tree.ts';
import { signCheckpoint } from '#log/checkpoint.ts';
import { encodeEntry } from '#log/entry.ts';
import { formatSignerKey, parseSignerKey } from '#log/signed-note.ts';
import { TileEdge } from '#log/tile-edge.ts';
import { KeyRing, rootKeyOf } from '#secrets/root-key.ts';
import { makeSecrets } from '#secrets/sealer.ts';
import { postgresStore, type PostgresStoreOptions } from '#store/postgres-store.ts';
import { sequenceBatch, sqlRoll } from '#store/sequencer.ts';
import { testDatabase, type TestDatabase } from './database.ts';
import { monotonic, newId, SEALED_UNDER } from './store-world.ts';

export const quiet: Journal = { info: () => undefined, warn: () => undefined, error: () => undefined };

export const logTree: LogTree = {
  append: (state, leaves) => {
    const edge = TileEdge.restore(state);
    const full = edge.append(leaves);
    return { size: edge.size, root: edge.root(), tiles: [...full, ...edge.partials()] };
  },
};

export interface PostgresStoreWorld extends AsyncDisposable {
  readonly store: Store;
  readonly db: TestDatabase;
  readonly sign: SignCheckpoint;
  keysDown(): void;
  sequence(): Promise<void>;
  /** To make another store on the same database, as another process would. */
  readonly options: PostgresStoreOptions;
}

export async function postgresStoreWorld(journal: Journal = quiet): Promise<PostgresStoreWorld> {
  const db = await testDatabase();
  const ring = new KeyRing([rootKeyOf(randomBytes(32))]);
  const real = makeSecrets(ring, { bytes: randomBytes });
  await db.pool.query('insert into brevet.root_keys (id, in_force_since) select unnest($1::text[]), now()', [[SEALED_UNDER, ring.newest.id]]);
  let down = false;
  const secrets: Pick<Secrets, 'newSubjectKey' | 'sealPersonal'> = {
    newSubjectKey: (subject) => real.newSubjectKey(subject),
    sealPersonal: (...args) => {
      if (down) throw new Error('the key provider does not answer');
      return real.sealPersonal(...args);
    },
  };
  const options = { pool: db.pool, newId, secrets, journal, monotonic, encodeEntry };
  const store = postgresStore(options);
  const signer = parseSignerKey(formatSignerKey('test.example/log', randomBytes(32)));
  const sign: SignCheckpoint = (size, root) => signCheckpoint({ origin: signer.name, size, root }, signer);
  return {
    store, db, sign, options,
    keysDown: () => void (down = true),
    sequence: async () => {
      while ((await sequenceBatch({ roll: sqlRoll(db.pool), tree: logTree, sign })) !== 0);
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}
