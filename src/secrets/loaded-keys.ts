import type { RootKeyKeeper } from '#app/ports/root-keys.ts';
import { addKeyFile, deleteKeyFiles, fileKeyProvider, type KeyFileOptions } from './key-file.ts';
import { givenKeyProvider, KeyRing, type KeyProvider } from './root-key.ts';

export interface LoadedKeys {
  /** For `makeSecrets`. */
  readonly ring: KeyRing;
  readonly keys: RootKeyKeeper;
  /** What `brevet doctor` calls the provider. */
  readonly provider: string;
}

/** Root keys of the file beside the data. @throws Refusal `invalid_configuration` */
export async function loadKeyFile(options: KeyFileOptions): Promise<LoadedKeys> {
  const { path, random } = options;
  return await loaded(fileKeyProvider(options), (keys) => ({
    add: async () => {
      const { id } = await addKeyFile(path, random);
      await keys.reload([]);
      return id;
    },
    remove: (ids) => deleteKeyFiles(path, ids),
  }));
}

/** Root keys handed in as text. @throws Refusal `invalid_configuration` */
export async function loadGivenKeys(text: string, where: string): Promise<LoadedKeys> {
  return await loaded(givenKeyProvider(text, where), () => ({ add: async () => null, remove: async () => null }));
}

type Keeping = Pick<RootKeyKeeper, 'add' | 'remove'>;

async function loaded(provider: KeyProvider, keeping: (keys: { reload: RootKeyKeeper['reload'] }) => Keeping): Promise<LoadedKeys> {
  const ring = new KeyRing(await provider.rootKeys());
  const reload: RootKeyKeeper['reload'] = async (keep) => {
    const [had, has] = [ring.keys, await provider.rootKeys()];
    // What is sealed on goes under the same key as before, until somebody chooses.
    ring.choose(ring.newest.id);
    const kept = had.filter(({ id }) => (keep.includes(id) || id === ring.newest.id) && !has.some((key) => key.id === id));
    ring.replace([...has, ...kept]);
  };
  return {
    ring,
    provider: provider.id,
    keys: {
      get ids() {
        return ring.ids;
      },
      get sealsUnder() {
        return ring.newest.id;
      },
      reload,
      sealUnder: (id) => ring.choose(id),
      ...keeping({ reload }),
    },
  };
}
