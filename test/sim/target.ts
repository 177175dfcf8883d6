import type { GrantId, PartId, TargetId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';

export interface Account {
  readonly id: number;
  name: string;
  /** Brevet's mark: whose it is, and the fence of who wrote it. `null` for the target's own accounts. */
  mark: { readonly grant: GrantId; readonly part: PartId; readonly fence: number } | null;
  login: boolean;
  /** By the target's clock; `null` for ever. */
  validUntil: number | null;
  password: string | null;
  readonly roles: Set<string>;
  /** By their ids, roles of Brevet's that it was made a member of: what raises it, until they are dropped. */
  readonly memberOf: Set<number>;
  readonly madeAt: number;
}

/** A connection that stands on the target; `by` is the broker's process. */
export interface Backend {
  readonly pid: number;
  readonly account: number;
  readonly by: Process;
  readonly startedAt: number;
}

/** What a commit on a target comes to. */
export type CommitFate = 'done' | 'answer lost' | 'lost' | 'late' | 'lies' | 'half';

interface TargetTx {
  readonly process: Process;
  readonly lock: string;
  state: 'open' | 'over';
  /** Nobody spoke in it since; by then the target gives up on it. */
  expiresAt: number;
}

const IDLE_MS = 20_000;
const LOCK_PATIENCE_MS = 5_000;

/**
 * A database server: accounts, their roles, connections, a clock of its own. As on the real one a change is a transaction
 * under the account's lock; one whose worker has died or sleeps is rolled back by the target, and its lock is free.
 */
export class SimTarget {
  readonly id: TargetId;
  readonly name: string;
  readonly accounts = new Map<number, Account>();
  readonly backends = new Map<number, Backend>();
  skewMs = 0;
  downUntil = 0;
  refusesUntil = 0;
  /** The next commits on it end so. */
  readonly fates: CommitFate[] = [];
  changes = 0;
  /** Told of each commit that goes wrong, and when its lock is free again. */
  struck: (fate: CommitFate, freeAt: number) => void = () => undefined;
  readonly #scheduler: Scheduler;
  readonly #open = new Map<string, TargetTx>();
  #ids = 0;

  constructor(id: TargetId, name: string, scheduler: Scheduler) {
    this.id = id;
    this.name = name;
    this.#scheduler = scheduler;
  }

  /** Its own clock. */
  now(): number {
    return this.#scheduler.now + this.skewMs;
  }

  get down(): boolean {
    return this.downUntil > this.#scheduler.now;
  }

  get refuses(): boolean {
    return this.refusesUntil > this.#scheduler.now;
  }

  /** Whether a change is under way that may still become lasting. */
  get busy(): boolean {
    return this.#open.size > 0;
  }

  byName(name: string): Account | null {
    return [...this.accounts.values()].find((account) => account.name === name) ?? null;
  }

  byMark(part: PartId): Account[] {
    return [...this.accounts.values()].filter((account) => account.mark?.part === part);
  }

  addAccount(name: string, more: Partial<Omit<Account, 'id' | 'name'>> = {}): Account {
    const account: Account = {
      id: ++this.#ids, name, mark: null, login: true, validUntil: null, password: null, roles: new Set(), memberOf: new Set(), madeAt: this.#scheduler.now, ...more,
    };
    this.accounts.set(account.id, account);
    this.changes += 1;
    return account;
  }

  /** With the memberships in it. */
  drop(id: number): void {
    this.accounts.delete(id);
    for (const { memberOf } of this.accounts.values()) memberOf.delete(id);
    this.changes += 1;
  }

  /** @throws Refusal `target_refused`, as a sign-in that the target turns away */
  signIn(by: Process, user: string, password: string): Backend {
    const account = this.byName(user);
    const expired = account?.validUntil != null && account.validUntil <= this.now();
    if (!account?.login || expired || account.password !== password) throw new Refusal('target_refused', `the target does not let ${user} in`);
    const backend = { pid: ++this.#ids, account: account.id, by, startedAt: this.#scheduler.now };
    this.backends.set(backend.pid, backend);
    this.changes += 1;
    return backend;
  }

  end(pid: number): boolean {
    this.changes += 1;
    return this.backends.delete(pid);
  }

  /** Waits for the account's lock, as long as the target lets anybody wait. */
  async begin(process: Process, lock: string): Promise<TargetTx> {
    for (let waited = 0; ; waited += 250) {
      await process.wait(`${this.name} begin ${lock}`, waited === 0 ? process.rng.between(2, 10) : 250);
      const holder = this.#open.get(lock);
      if (holder && holder.expiresAt <= this.#scheduler.now) this.#close(holder);
      if (!this.#open.has(lock)) break;
      if (waited >= LOCK_PATIENCE_MS) throw new Refusal('target_refused', 'canceling statement due to lock timeout');
    }
    const tx: TargetTx = { process, lock, state: 'open', expiresAt: this.#scheduler.now + IDLE_MS };
    this.#open.set(lock, tx);
    return tx;
  }

  #close(tx: TargetTx): void {
    tx.state = 'over';
    if (this.#open.get(tx.lock) === tx) this.#open.delete(tx.lock);
  }

  /** Of a commit under way nobody can ask for a rollback any more. */
  rollback(tx: TargetTx): void {
    if (tx.expiresAt !== Infinity) this.#close(tx);
  }

  /** A worker's connections broke. */
  forget(process: Process): void {
    for (const tx of this.#open.values()) if (tx.process === process && tx.expiresAt !== Infinity) this.#close(tx);
  }

  /** `change` and then `rest`; a target that half-succeeds does only the first. */
  async commit(tx: TargetTx, change: () => void, rest: () => void = () => undefined): Promise<void> {
    const { process } = tx;
    await process.wait(`${this.name} commit ${tx.lock}`, process.rng.between(2, 12));
    if (tx.state === 'over' || tx.expiresAt <= this.#scheduler.now) {
      this.#close(tx);
      throw new Refusal('target_unreachable', 'the target closed the connection');
    }
    process.effect('before');
    if (!process.alive) return this.#close(tx);
    const fate = this.fates.shift() ?? 'done';
    if (fate !== 'done') this.struck(fate, this.#scheduler.now);
    if (fate === 'late') return await this.#commitLate(tx, change, rest);
    if (fate !== 'lost' && fate !== 'lies') {
      change();
      if (fate !== 'half') rest();
      this.changes += 1;
    }
    this.#close(tx);
    this.#scheduler.tell(`${this.name} commit ${tx.lock}: ${fate}`);
    process.effect('after');
    if (fate === 'lost' || fate === 'answer lost') throw new Refusal('target_unreachable', 'the target does not answer');
  }

  /** The client gives up; the target, which holds the lock, gets to it much later. */
  async #commitLate(tx: TargetTx, change: () => void, rest: () => void): Promise<void> {
    const { process } = tx;
    tx.expiresAt = Infinity;
    const at = this.#scheduler.now + process.rng.between(16_000, 90_000);
    this.struck('late', at);
    this.#scheduler.at(at, 'fixed', `${this.name} commits ${tx.lock} late`, null, () => {
      change();
      rest();
      this.changes += 1;
      this.#close(tx);
    });
    await process.wait(`${this.name} commit ${tx.lock} without an answer`, 15_000);
    throw new Refusal('target_unreachable', 'the target does not answer');
  }
}
