import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { Refusal } from '#domain/refusal.ts';

/** Bytes of a root key, and of every other AES-256 key here. */
export const KEY_BYTES = 32;
/** Bytes of a root key's id. */
export const KEY_ID_BYTES = 8;

/** A key that wraps data keys. It sits in a `KeyObject`, which prints as an empty object wherever it is logged. */
export interface RootKey {
  /** The first 8 bytes, in hex, of a SHA-256 over the key: a key needs no name of its own, and two never share one. */
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * Where root keys come from. It is asked at start and now and then for new keys, never while a secret is in use. A
 * provider for a cloud KMS or Vault keeps wrapped root keys beside the data and unwraps them here.
 */
export interface KeyProvider {
  /** What `brevet doctor` calls it, such as `file:/var/lib/brevet/root.key`. Holds no secret. */
  readonly id: string;
  /** All keys that may still be needed, the newest first; at least one. @throws Refusal `invalid_configuration`, `unavailable` */
  rootKeys(): Promise<readonly RootKey[]>;
}

export function rootKeyOf(bytes: Uint8Array): RootKey {
  if (bytes.length !== KEY_BYTES) throw new RangeError('a root key has 32 bytes');
  const id = createHash('sha256').update('brevet root key id v1\0').update(bytes).digest('hex').slice(0, KEY_ID_BYTES * 2);
  return { id, key: createSecretKey(bytes) };
}

/**
 * Reads one root key: 32 bytes in base64 or base64url. `where` names the file or variable in the error, which never
 * quotes what it read.
 * @throws Refusal `invalid_configuration`
 */
export function parseRootKey(text: string, where: string): RootKey {
  const bytes = Buffer.from(text, 'base64');
  const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  const wellFormed = bytes.length === KEY_BYTES && bytes.toString('base64').replace(/=+$/, '') === plain;
  if (!wellFormed || new Set(bytes).size < 8) {
    throw new Refusal('invalid_configuration', `${where} does not hold a root key: 32 random bytes in base64`, {
      field: where,
      hint: 'Make one with: openssl rand -base64 32',
    });
  }
  return rootKeyOf(bytes);
}

/** Root keys handed in as text (a variable, a systemd credential), several parted by white space, the newest first. */
export function givenKeyProvider(text: string, where: string): KeyProvider {
  return {
    id: `given:${where}`,
    rootKeys: async () => {
      const keys = text.split(/\s+/).filter(Boolean).map((part) => parseRootKey(part, where));
      if (keys.length === 0) {
        throw new Refusal('invalid_configuration', `${where} is empty`, { field: where, hint: 'Make a root key with: openssl rand -base64 32' });
      }
      return keys;
    },
  };
}

/** The root keys at hand. One object lives as long as the process; `replace` brings in new keys after a rotation. */
export class KeyRing {
  #keys: readonly RootKey[] = [];
  #chosen: string | null = null;

  constructor(keys: readonly RootKey[]) {
    this.replace(keys);
  }

  replace(keys: readonly RootKey[]): void {
    if (keys.length === 0) throw new RangeError('a key ring holds at least one key');
    this.#keys = [...keys];
  }

  /** What is sealed, is sealed under this one: the chosen one, else the first. */
  get newest(): RootKey {
    return (this.#chosen === null ? undefined : this.find(this.#chosen)) ?? (this.#keys[0] as RootKey);
  }

  /** A key that was only just made is loaded before it seals. Answers false for one that is not here. */
  choose(id: string): boolean {
    if (!this.find(id)) return false;
    this.#chosen = id;
    return true;
  }

  find(id: string): RootKey | undefined {
    return this.#keys.find((key) => key.id === id);
  }

  get keys(): readonly RootKey[] {
    return this.#keys;
  }

  /** The ids, newest first. */
  get ids(): readonly string[] {
    return this.#keys.map((key) => key.id);
  }
}
