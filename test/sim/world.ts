import type { Grant, Session } from '#domain/grant.ts';
import type { GrantId, SessionId } from '#domain/id.ts';
import { SimBroker } from './broker.ts';
import { COMMIT_INVARIANTS, STANDING_INVARIANTS } from './invariants/all.ts';
import { Network } from './network.ts';
import { SimNode } from './node.ts';
import type { Person } from './setup.ts';
import { Rng } from './random.ts';
import { Scheduler, START } from './scheduler.ts';
import type { Moment } from './script.ts';
import { Memory, type EntryRow } from './store/memory.ts';
import { least } from './store/ordering.ts';
import type { Change } from './store/transaction.ts';
import type { SimTarget } from './target.ts';

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  /** Milliseconds of true time from the start. */
  readonly at: number;
}

/** Where a moment takes place: the server that made it, and the first target that it is about, by number. */
export interface Scene {
  readonly node: number;
  readonly target: number;
}

/** A commit as invariants see it. */
export interface Commit {
  readonly changes: readonly Change[];
  readonly entries: readonly EntryRow[];
  /** The store's clock when the transaction began. */
  readonly began: number;
}

/** Further ahead nothing is put off to by a clock that is right (src/app/reconcile/probe-targets.ts). */
const LONGEST_WAIT_MS = 61_000;

/** A session that does not end, or a removal, may be late this long after the fault that explains it has passed. */
type Excused = 'everything' | 'node' | string;

/** Everything there is: the store's memory, servers, brokers, targets, people, and true time. */
export class World {
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly memory = new Memory();
  readonly targets: SimTarget[] = [];
  readonly nodes: SimNode[] = [];
  /** Those that let somebody in, by node, and those whose server died, while they still carry sessions. */
  readonly brokers: SimBroker[] = [];
  readonly orphans: SimBroker[] = [];
  people: readonly Person[] = [];
  violation: Violation | null = null;
  /** No noise on the wire: the healing has begun. */
  calm = false;
  storeOffset = 0;
  storeDownUntil = 0;
  keysDownUntil = 0;
  signerDownUntil = 0;
  noticesLostUntil = 0;
  /** What share of its inserts the log refuses, and the SQLSTATE. */
  logBroken: { readonly until: number; readonly share: number; readonly code: string } | null = null;
  restoredAt: number | null = null;
  /** What the backup knew: what became of it since then, nobody can tell. */
  restoredGrants: ReadonlySet<string> = new Set();
  /** Since when (true time) a grant has to be gone, as far as the store knows. */
  readonly due = new Map<GrantId, number>();
  /** Grants whose deadline has passed once, though the store's clock may have gone back since. */
  readonly wasDue = new Set<GrantId>();
  readonly denied = new Map<SessionId, number>();
  readonly foreign = new Map<string, number>();
  /** When each policy version came into force, by the store's clock. */
  readonly policies: { readonly version: number; readonly at: number }[] = [];
  /** Objects of ours that an operator laid hands on. */
  readonly tampered = new Set<string>();
  lastEffect = 0;
  /** Who is to be struck, and after how many effects. */
  readonly strikes: { left: number; readonly when: 'before' | 'after'; readonly run: (index: number) => void }[] = [];
  readonly #waiting: { readonly moment: Moment; readonly delay: number; readonly run: (scene: Scene) => void }[] = [];
  readonly #excuses = new Map<Excused, number>();
  #incarnations = 0;
  #changes = 0;
  #lastRead = 0;
  #dirty = true;
  #checkedAt = 0;

  constructor(seed: string, trace: ((line: string) => void) | null) {
    this.rng = new Rng(seed);
    this.scheduler = new Scheduler(trace);
    this.network = new Network(() => this.scheduler.now);
  }

  storeNow(): number {
    return this.scheduler.now + this.storeOffset;
  }

  /**
   * As a transaction reads it: whole milliseconds, not going back but by a step. Two milliseconds before a deadline count
   * as the deadline itself, so that what happens exactly then is seen often.
   */
  readStoreClock(): number {
    const now = Math.floor(this.storeNow());
    let read = now;
    for (const id of this.memory.tables.grants.live) {
      const deadline = this.memory.tables.grants.rows.get(id)?.deadline?.getTime() ?? 0;
      if (deadline > now && deadline <= now + 2) read = deadline;
    }
    this.#lastRead = read < this.#lastRead && this.#lastRead - read < 3 ? this.#lastRead : read;
    return this.#lastRead;
  }

  get storeDown(): boolean {
    return this.storeDownUntil > this.scheduler.now;
  }

  startNode(index: number): void {
    const node = new SimNode(this, `node-${index + 1}`, ++this.#incarnations);
    this.nodes[index] = node;
    this.brokers[index] = new SimBroker(this, `broker-${index + 1}`, node);
  }

  /** The memory of a server is lost. Its broker lives on without it as long as it carries sessions. */
  killNode(index: number): void {
    const [node, broker] = [this.nodes[index], this.brokers[index]];
    if (!node?.process.alive || !broker) return;
    this.scheduler.tell(`${node.name} dies`);
    node.die();
    broker.orphaned = true;
    this.orphans.push(broker);
    this.touched();
  }

  /** A server has an effect on the world: the moment of whoever waits for that many. */
  effect(node: SimNode, when: 'before' | 'after'): void {
    const index = this.nodes.indexOf(node);
    for (const strike of this.strikes.filter((one) => one.when === when && index !== -1)) {
      strike.left -= 1;
      if (strike.left > 0) continue;
      this.strikes.splice(this.strikes.indexOf(strike), 1);
      strike.run(index);
    }
  }

  violate(invariant: string, message: string): void {
    if (this.violation) return;
    this.violation = { invariant, message, at: this.scheduler.now - START };
    this.scheduler.tell(`VIOLATION of ${invariant}: ${message}`);
    this.scheduler.stop();
  }

  excuse(what: Excused, until: number): void {
    this.#excuses.set(what, Math.max(until, this.#excuses.get(what) ?? 0));
  }

  /** The latest instant up to which one of these is excused. */
  excused(...what: readonly Excused[]): number {
    return Math.max(0, ...what.map((each) => this.#excuses.get(each) ?? 0));
  }

  /** Something changed that invariants look at. */
  touched(): void {
    this.#dirty = true;
    this.lastEffect = this.scheduler.now;
  }

  /** Runs it `delay` milliseconds after the next commit that brings a grant into this state, or opens a session. */
  waitFor(moment: Moment, delay: number, run: (scene: Scene) => void): void {
    this.#waiting.push({ moment, delay, run });
  }

  #wake(changes: readonly Change[], by: string): void {
    const node = this.nodes.findIndex(({ name }) => name === by);
    for (const { table, before, after } of changes) {
      const moment = table === 'sessions' && before === null ? 'connecting' : table === 'grants' && (before as Grant | null)?.state !== (after as Grant).state ? (after as Grant).state : null;
      for (const one of this.#waiting.filter((each) => each.moment === moment)) {
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        const entitlement = this.memory.tables.grants.rows.get((after as Session).grant ?? (after as Grant).id)?.entitlement;
        const target = this.targets.findIndex(({ id }) => id === entitlement?.parts[0]?.target);
        this.scheduler.at(this.scheduler.now + one.delay, 'fixed', 'the moment has come', null, () => this.calm || one.run({ node, target }));
      }
    }
  }

  committed(changes: readonly Change[], by: string): void {
    this.touched();
    const entries = changes.filter(({ table, before }) => table === 'log_entries' && before === null).map(({ after }) => after as EntryRow);
    this.scheduler.tell(`${by} commits ${changes.map(({ table, key }) => `${table} ${key}`).join(', ')}`);
    this.#wake(changes, by);
    const commit = { changes, entries, began: entries[0]?.at.getTime() ?? this.storeNow() };
    for (const { table, after } of changes) if (table === 'policy_versions') this.policies.push({ version: (after as { version: number }).version, at: this.storeNow() });
    for (const invariant of COMMIT_INVARIANTS) {
      const broken = invariant(this, commit);
      if (broken !== null) this.violate(invariant.name, broken);
    }
  }

  /** After every event that changed something, and once a second. */
  look(): void {
    const changes = this.targets.reduce((sum, target) => sum + target.changes, 0);
    if (changes !== this.#changes) this.touched();
    this.#changes = changes;
    if (!this.#dirty && this.scheduler.now - this.#checkedAt < 1_000) return;
    this.#dirty = false;
    this.#checkedAt = this.scheduler.now;
    for (const invariant of STANDING_INVARIANTS) {
      const broken = invariant(this);
      if (broken !== null) this.violate(invariant.name, broken);
    }
  }

  /** Brokers that may carry sessions. */
  carriers(): readonly SimBroker[] {
    return [...this.brokers, ...this.orphans].filter(({ process, sessions }) => process.alive && sessions.size > 0);
  }

  /** When something can happen next; 0 while anything is going on that time alone brings to an end. */
  leapTo(): number {
    const { scheduler, memory: { tables } } = this;
    if (scheduler.now - this.lastEffect < 1_200 || this.carriers().length > 0 || this.foreign.size > 0) return 0;
    if (this.targets.some(({ busy, backends }) => busy || backends.size > 0)) return 0;
    if (tables.sessions.live.size > 0 || tables.entries.live.size > 0) return 0;
    const instants: (Date | null | undefined)[] = [];
    const waiting = new Set<string>();
    for (const id of tables.parts.live) {
      const row = tables.parts.rows.get(id);
      if (!row || row.part.work === null) continue;
      // Between two attempts nothing happens, as long as nobody knocks at the target either.
      const isUp = tables.targets.rows.get(row.part.target)?.health.unreachableSince === null;
      const soon = row.part.dueAt !== null && row.part.dueAt.getTime() - this.storeNow() <= LONGEST_WAIT_MS;
      if (row.claimedUntil !== null || !isUp || !soon) return 0;
      instants.push(row.part.dueAt);
      waiting.add(row.part.grant);
    }
    for (const id of tables.grants.live) {
      const grant = tables.grants.rows.get(id);
      if ((grant?.state === 'revoking' || grant?.state === 'activating') && !waiting.has(id)) return 0;
      instants.push(grant?.state === 'scheduled' ? grant.startAt : grant?.state === 'activating' ? grant.activateBy : grant?.state === 'active' ? grant.deadline : null);
    }
    for (const id of tables.requests.live) instants.push(tables.requests.rows.get(id)?.expiresAt ?? null);
    const next = least(instants)?.getTime() ?? Infinity;
    return Math.min(next - this.storeOffset, scheduler.nextFixed()) - 1_000;
  }
}
