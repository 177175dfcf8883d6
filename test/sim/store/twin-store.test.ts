import { randomBytes } from 'node:crypto';
import { storeContract } from '#test/contract/store/store-contract.ts';
import { encodeEntry } from '#log/entry.ts';
import { sequenceBatch } from '#store/sequencer.ts';
import { logTree, quiet } from '#test/worlds/postgres-store-world.ts';
import { newId, sealedLike, SEALED_UNDER } from '#test/worlds/store-world.ts';
import { Memory } from './memory.ts';
import { twinStore } from './twin-store.ts';

/** The twin on the real clock: whatever PostgreSQL must do, it does. */
storeContract('twin', async () => {
  let down = false;
  const secrets = {
    newSubjectKey: () => sealedLike('a key'),
    sealPersonal: () => {
      if (down) throw new Error('the key provider does not answer');
      return randomBytes(64);
    },
  };
  const clockwork = {
    now: () => Date.now(),
    step: () => new Promise<void>((resolve) => setImmediate(resolve)),
    later: (_: string, run: () => void) => void setImmediate(run),
  };
  const store = twinStore({ memory: new Memory(), clockwork, newId, secrets, journal: quiet, encodeEntry });
  await store.transaction((tx) => tx.rootKeys.bringIn(SEALED_UNDER));
  return {
    store,
    keysDown: () => void (down = true),
    sequence: async () => {
      while ((await sequenceBatch({ roll: store.roll, tree: logTree, sign: (size) => `checkpoint of ${size}` })) !== 0);
    },
    [Symbol.asyncDispose]: async () => store.disconnect(),
  };
});
