import type { SecretIdentity } from './secrets.ts';

/** A process's root keys in memory, and where they come from. */
export interface RootKeys {
  /** Ids of those loaded, newest first. */
  readonly ids: readonly string[];
  /** The one that this process seals under. */
  readonly sealsUnder: string;
  /**
   * Asks the provider again. Loaded keys among `keep` stay even when the provider no longer has them.
   * @throws Refusal `invalid_configuration`, `unavailable`; what was loaded then stays as it is
   */
  reload(keep: readonly string[]): Promise<void>;
  /** Seals under this one from now on. Answers false when it is not loaded. */
  sealUnder(id: string): boolean;
}

/** The provider as its keeper sees it, who may add keys and delete them. */
export interface RootKeyKeeper extends RootKeys {
  /** Makes and loads a newest key; null where keys are handed in from outside and somebody has to do it by hand. */
  add(): Promise<string | null>;
  /** Deletes keys for good, if they are there. Only those that nothing is sealed under. Answers which; null where it is to be done by hand. */
  remove(ids: readonly string[]): Promise<readonly string[] | null>;
}

/** A running server, and the root keys that it has loaded. */
export interface KeyHolder {
  readonly server: string;
  readonly host: string;
  readonly keys: readonly string[];
  readonly sealsUnder: string;
}

export interface SealedCount {
  /** `target credential`, `recording chunk` ... */
  readonly kind: string;
  readonly under: string;
  readonly count: number;
}

export interface SealedValue {
  readonly kind: string;
  /** The row's primary key. */
  readonly row: readonly (string | number)[];
  readonly identity: SecretIdentity;
  readonly sealed: Uint8Array;
}

/** Root keys by their ids: which are known, who has them, what is sealed under each. */
export interface RootKeyTable {
  /** Every kind of sealed value there is. */
  readonly kinds: readonly string[];
  /** Ids, the newest, which is in force, last. */
  known(): Promise<readonly string[]>;
  /** Brings a key into force. Two who bring in the same one make one. */
  bringIn(id: string): Promise<void>;
  /** Forgets a key. @throws Refusal `conflict` when anything is sealed under it, also by a transaction that commits at this moment */
  forget(id: string): Promise<void>;
  /** Tells that this server lives and what it has loaded. Waits for whoever holds `lockHolders`. */
  hold(holder: KeyHolder): Promise<void>;
  release(server: string): Promise<void>;
  /** Keeps `hold` waiting until the end of the transaction. */
  lockHolders(): Promise<void>;
  /** Those heard of within `withinMs`. */
  holders(withinMs: number): Promise<readonly KeyHolder[]>;
  counts(): Promise<readonly SealedCount[]>;
  /** At most `limit` values of a kind that are not sealed under `newest`, in the order of their rows, after one. */
  outdated(kind: string, newest: string, after: SealedValue['row'] | null, limit: number): Promise<readonly SealedValue[]>;
  /** Stores the value wrapped anew, if the row still holds what was read. */
  rewrap(value: SealedValue, next: Uint8Array): Promise<boolean>;
}
