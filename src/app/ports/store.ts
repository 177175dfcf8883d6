import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { Grant, GrantPart, Session } from '#domain/grant.ts';
import type {
  EntitlementId, FolderId, GrantId, GroupId, PartId, PersonId, PrincipalId, RequestId, SessionId, TargetId,
} from '#domain/id.ts';
import type { JsonObject } from '#domain/json.ts';
import type { EndReason, RequestState, SessionEndReason } from '#domain/lifecycle.ts';
import type { LogEvent } from '#domain/log-event.ts';
import type { Membership, Principal } from '#domain/principal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import type { CredentialTable } from './credential-table.ts';
import type { EntryTable } from './entry-table.ts';
import type { PolicySet, PolicySource } from './policy.ts';
import type { RootKeyTable } from './root-keys.ts';

/**
 * What sleeps until somebody writes: the reconciler (`work`), the sequencer (`log`), gates (`sessions`), waiters (`requests`).
 * `work` with the payload `advance` is for whoever moves grants on, with `probe` for those who knock at targets; without one
 * for all but these.
 */
export type Topic = 'work' | 'log' | 'sessions' | 'requests';

/**
 * The truth. `transaction` runs `work` in one read-committed transaction and commits when it resolves, rolls back when
 * it rejects; it may run `work` again after a deadlock, so `work` must have no effect but through `tx`. Methods called
 * `lock...` hold the row until the end of the transaction: whoever decides on a row locks it first, and all lock in one
 * order, so that nobody waits in a ring: the catalogue, principals, requests, grants, parts, sessions, tokens; of a kind
 * in order of id. @throws Refusal `unavailable` when the store can't be reached.
 */
export interface Store {
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Calls back soon after a committed `notify` of any node; may miss some (so poll), may repeat. Answers how to stop. */
  listen(topic: Topic, listener: (payload: string) => void): () => void;
}

export interface Tx {
  /** The database's clock at the start of this transaction: the only authority on time. */
  readonly now: Date;
  /** Writes the entry that tells of this change; it commits or rolls back with it. */
  log(event: LogEvent): Promise<void>;
  /** Wakes listeners after the commit. */
  notify(topic: Topic, payload?: string): Promise<void>;
  readonly principals: PrincipalTable;
  readonly catalogue: CatalogueTable;
  readonly policies: PolicyTable;
  readonly requests: RequestTable;
  readonly grants: GrantTable;
  readonly parts: PartTable;
  readonly sessions: SessionTable;
  readonly credentials: CredentialTable;
  readonly entries: EntryTable;
  readonly rootKeys: RootKeyTable;
}

/** A page of a list, newest first: at most `limit` rows whose id sorts before `before`. */
export interface Page {
  readonly before: string | null;
  readonly limit: number;
}

/** A page of a list that is kept by name: at most `limit` rows whose name sorts after `after`. */
export interface NamedPage {
  readonly after: string | null;
  readonly limit: number;
}

export interface PrincipalTable {
  byId(id: PrincipalId): Promise<Principal | null>;
  /** Those that are known, in no order; like every `withIds`, by one question. */
  withIds(ids: readonly PrincipalId[]): Promise<readonly Principal[]>;
  /** Holds the row: what counts a principal's things goes one after the other. */
  lock(id: PrincipalId): Promise<Principal | null>;
  byName(name: string): Promise<Principal | null>;
  all(): Promise<readonly Principal[]>;
  page(page: NamedPage): Promise<readonly Principal[]>;
  ownedBy(person: PersonId): Promise<readonly Principal[]>;
  insert(principal: Principal): Promise<void>;
  update(principal: Principal): Promise<void>;
  memberships(id: PrincipalId): Promise<readonly Membership[]>;
  /** Of each, in order of the groups' names; nothing for who is in none. */
  membershipsOf(ids: readonly PrincipalId[]): Promise<ReadonlyMap<PrincipalId, readonly Membership[]>>;
  password(id: PrincipalId): Promise<{ readonly hash: string; readonly issuedBy: PrincipalId | null } | null>;
  setPassword(id: PrincipalId, hash: string, issuedBy: PrincipalId | null): Promise<void>;
  /** What of theirs, and of the workloads that they own, is not over. */
  live(id: PrincipalId): Promise<{ readonly grants: number; readonly sessions: number; readonly requests: number }>;
  erasedAt(id: PrincipalId): Promise<Date | null>;
  /**
   * Takes out what names or describes somebody who is disabled and holds nothing: the key of their personal parts in
   * the log, words, addresses, labels, recordings; what was asked by them and for them. They go on under another name.
   * Null when it was done before.
   */
  erase(id: PrincipalId, as: Pick<Principal, 'name' | 'displayName'>): Promise<Erased | null>;
  /** Keeps the hash of an erased principal's name. */
  keepErasedName(id: PrincipalId, hash: string): Promise<void>;
  byErasedName(hash: string): Promise<PrincipalId | null>;
}

/** How much was blanked. */
export interface Erased {
  readonly requests: number;
  readonly sessions: number;
}

export interface Group {
  readonly id: GroupId;
  readonly name: string;
  readonly title: string;
}

export interface Folder {
  readonly id: FolderId;
  readonly name: string;
  readonly title: string;
  readonly administrators: GroupId | null;
}

export interface TargetHealth {
  readonly checkedAt: Date | null;
  readonly unreachableSince: Date | null;
  readonly problem: string | null;
  readonly skewMs: number | null;
  readonly version: string | null;
  readonly sweptAt: Date | null;
}

export interface CatalogueTable {
  /** Holds the whole catalogue against other writers until the end of the transaction: one `apply` at a time. */
  lockAll(): Promise<void>;
  groups(): Promise<readonly Group[]>;
  saveGroup(group: Group): Promise<void>;
  members(group: GroupId): Promise<readonly { readonly principal: PrincipalId; readonly since: Date }[]>;
  /** Adds and removes members so that exactly these are in; who stays keeps the instant of joining. */
  setMembers(group: GroupId, members: readonly PrincipalId[], at: Date): Promise<void>;
  folders(): Promise<readonly Folder[]>;
  saveFolder(folder: Folder): Promise<void>;
  targets(): Promise<readonly Target[]>;
  /** Retired ones as well. */
  targetPage(page: NamedPage): Promise<readonly Target[]>;
  targetsWithIds(ids: readonly TargetId[]): Promise<readonly Target[]>;
  target(id: TargetId): Promise<Target | null>;
  targetByName(name: string): Promise<Target | null>;
  saveTarget(target: Target): Promise<void>;
  credential(id: TargetId): Promise<Uint8Array | null>;
  setCredential(id: TargetId, sealed: Uint8Array): Promise<void>;
  health(id: TargetId): Promise<TargetHealth | null>;
  healthOf(ids: readonly TargetId[]): Promise<ReadonlyMap<TargetId, TargetHealth & { readonly hasCredential: boolean }>>;
  setHealth(id: TargetId, health: Partial<TargetHealth>): Promise<void>;
  /**
   * Targets with a credential, not known to be down, last swept before `before`, or by a clock that has gone back since: they count as swept from now on, so that
   * exactly one of several who ask at once is answered with each.
   */
  claimSweeps(before: Date): Promise<readonly TargetId[]>;
  entitlements(): Promise<readonly Entitlement[]>;
  /** Without retired ones. */
  entitlementPage(page: NamedPage): Promise<readonly Entitlement[]>;
  entitlement(id: EntitlementId): Promise<Entitlement | null>;
  entitlementByName(name: string): Promise<Entitlement | null>;
  saveEntitlement(entitlement: Entitlement): Promise<void>;
}

export interface PolicyTable {
  /** The newest version, with who published it: nobody profits alone from a policy that they published. */
  current(): Promise<(PolicySet & { readonly publishedBy: PrincipalId | null }) | null>;
  version(version: number): Promise<PolicySet | null>;
  publish(version: number, sources: readonly PolicySource[], by: PrincipalId | null, at: Date): Promise<void>;
}

/** Whose requests or grants: those of any of these principals, and those that anybody asked for on behalf of a person. */
export interface Concerning {
  readonly principals: readonly PrincipalId[];
  readonly behalf: PrincipalId;
}

export interface RequestFilter {
  readonly principal?: PrincipalId;
  readonly concerning?: Concerning;
  readonly state?: RequestState;
  readonly entitlement?: EntitlementId;
}

export interface RequestTable {
  insert(request: AccessRequest): Promise<void>;
  byId(id: RequestId): Promise<AccessRequest | null>;
  withIds(ids: readonly RequestId[]): Promise<readonly AccessRequest[]>;
  lock(id: RequestId): Promise<AccessRequest | null>;
  decide(id: RequestId, state: Exclude<RequestState, 'pending'>, at: Date, reason: string | null): Promise<void>;
  list(filter: RequestFilter, page: Page): Promise<readonly AccessRequest[]>;
  /** At most `limit` pending ones, oldest first, whose id sorts after `after`. */
  pending(after: string | null, limit: number): Promise<readonly AccessRequest[]>;
  /** Locks, skipping locked, up to `limit` pending requests that expired by `now`. */
  lockExpired(now: Date, limit: number, except?: readonly RequestId[]): Promise<readonly AccessRequest[]>;
  countPending(principal: PrincipalId): Promise<number>;
  /** Every request that asked for more time of this grant, whatever became of it. */
  extending(grant: Pick<Grant, 'id' | 'principal'>): Promise<readonly RequestId[]>;
  reviews(id: RequestId): Promise<readonly Review[]>;
  /** Of each, oldest first; nothing for one without any. */
  reviewsOf(ids: readonly RequestId[]): Promise<ReadonlyMap<RequestId, readonly Review[]>>;
  insertReview(review: Review): Promise<void>;
}

export interface GrantFilter {
  readonly principal?: PrincipalId;
  readonly concerning?: Concerning;
  /** Only grants with a stage of any of these groups. */
  readonly reviewedBy?: readonly GroupId[];
  readonly target?: TargetId;
  readonly entitlement?: EntitlementId;
  readonly state?: Grant['state'];
  /** Only grants that have not ended. */
  readonly live?: boolean;
  readonly overdue?: boolean;
}

export type Awaiting = 'due' | 'lost' | 'finished' | 'overdue' | 'stale' | 'starting' | 'expired';

export interface GrantTable {
  insert(grant: Grant): Promise<void>;
  byId(id: GrantId): Promise<Grant | null>;
  byRequest(id: RequestId): Promise<Grant | null>;
  withIds(ids: readonly GrantId[]): Promise<readonly Grant[]>;
  ofRequests(ids: readonly RequestId[]): Promise<readonly Grant[]>;
  lock(id: GrantId): Promise<Grant | null>;
  /** Writes state, instants, end reason: everything that may change. */
  update(grant: Grant): Promise<void>;
  list(filter: GrantFilter, page: Page): Promise<readonly Grant[]>;
  /** Locks every grant that has not ended: held by or for a principal or several, with a part on a target, or of an entitlement. In order of id. */
  lockLive(of: { readonly principal: PrincipalId | readonly PrincipalId[] } | { readonly target: TargetId } | { readonly entitlement: EntitlementId }): Promise<readonly Grant[]>;
  /** Locks, skipping locked and `except`: `scheduled` whose start has come. So do the others. */
  lockStarting(now: Date, limit: number, except?: readonly GrantId[]): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `active` whose deadline has come, oldest first. */
  lockDue(now: Date, limit: number, except?: readonly GrantId[]): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `activating` past their window. */
  lockStale(now: Date, limit: number, except?: readonly GrantId[]): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `revoking`, due before `before`, or by a clock that has gone back since as far ahead of now, not yet marked overdue. */
  lockOverdue(before: Date, now: Date, limit: number, except?: readonly GrantId[]): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `revoking` with every part absent and no live session. */
  lockFinished(limit: number, except?: readonly GrantId[]): Promise<readonly Grant[]>;
  /**
   * Moves many to `revoking` at once (they are locked), with their parts' removal due and their sessions told. Answers the
   * parts that nobody had ever claimed: they were never touched, and are absent by this. What an attempt failed by is kept
   * when the reason is `activation_failed`, until the removal itself fails.
   */
  revokeAll(ids: readonly GrantId[], reason: EndReason, at: Date): Promise<readonly GrantPart[]>;
  endAll(ids: readonly GrantId[], at: Date): Promise<void>;
  /** Notes of grants that are locked and `revoking` that their removal is overdue. */
  markOverdue(ids: readonly GrantId[], at: Date): Promise<void>;
  /**
   * What `advance` may find to do, by one look at the fronts of indexes, locking nothing: more rather than less. Each word
   * stands for the table method that locks it: `lockDue`, `sessions.lockLost`, `lockFinished` ...
   */
  awaiting(now: Date, overdueBefore: Date): Promise<readonly Awaiting[]>;
  /** The next instant within `until` at which a grant starts, falls due or a request expires. */
  nextInstant(until: Date): Promise<Date | null>;
  countLive(principal: PrincipalId): Promise<number>;
}

export interface ClaimOptions {
  readonly work: 'provision' | 'withdraw';
  readonly now: Date;
  /** Most to claim now, over all targets. */
  readonly limit: number;
  /** Most to have claimed at a time on one target, over all nodes. */
  readonly perTarget: number;
  readonly claimMs: number;
  /** Targets that this node leaves to others. */
  readonly except?: readonly TargetId[];
}

export interface ClaimedPart {
  readonly part: GrantPart;
  readonly sealedSecret: Uint8Array | null;
}

export interface PartTable {
  insert(part: GrantPart): Promise<void>;
  byId(id: PartId): Promise<GrantPart | null>;
  ofGrant(id: GrantId): Promise<readonly GrantPart[]>;
  /** Of each, in order of their ordinals. */
  ofGrants(ids: readonly GrantId[]): Promise<ReadonlyMap<GrantId, readonly GrantPart[]>>;
  sealedSecret(id: PartId): Promise<Uint8Array | null>;
  /** Claims due work, skipping what others hold; each claim raises the part's fence, and targets known to be down are left out. */
  claim(options: ClaimOptions): Promise<readonly ClaimedPart[]>;
  /** Those who work still keep their claims until `until`. A claim that was lifted, or lost to a higher fence, stays so. */
  keepClaims(claims: readonly { readonly id: PartId; readonly fence: number }[], until: Date): Promise<void>;
  /** Whether this fence is still the part's highest and its work is still this one. */
  holds(id: PartId, fence: number, work: 'provision' | 'withdraw'): Promise<boolean>;
  /** All writes below succeed only while the fence is the highest; they answer whether it was. */
  plan(id: PartId, fence: number, plan: { readonly prior?: JsonObject; readonly deadline?: Date; readonly state?: 'removing' }): Promise<boolean>;
  present(id: PartId, fence: number, evidence: JsonObject, secret: Uint8Array | null): Promise<boolean>;
  absent(id: PartId, fence: number, evidence: JsonObject): Promise<boolean>;
  /** With `evidence`, that takes the place of what stood there. */
  retry(id: PartId, fence: number, dueAt: Date, error: string, evidence?: JsonObject): Promise<boolean>;
  /** Makes a part due: for an extension, or when its target came back. */
  due(id: PartId, work: 'provision' | 'withdraw', at: Date): Promise<void>;
  /** When a target answers again: everything it owes is due now. */
  wakeTarget(id: TargetId, at: Date): Promise<number>;
  /**
   * After the store's clock went back: what is due, or claimed, beyond `furthest`, which nothing ever is, is due now and
   * free. Passes over what is locked. Answers how much.
   */
  wakeStranded(furthest: Date, now: Date): Promise<number>;
  /** Targets that are marked unreachable or were never checked, and owe or hold something. */
  targetsToProbe(): Promise<readonly TargetId[]>;
  /** Those of these objects' names that a live (not absent) part claims, on whatever target: two may be on one server. */
  liveObjects(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** Live parts that sign in as a stored account of one of these targets, in order of age. */
  sharing(targets: readonly TargetId[], account: string): Promise<readonly GrantPart[]>;
}

export interface SessionFilter {
  readonly grant?: GrantId;
  readonly principal?: PrincipalId;
  readonly target?: TargetId;
  readonly live?: boolean;
}

export interface SessionStanding {
  readonly session: SessionId;
  readonly cutReason: SessionEndReason | null;
  readonly grantState: Grant['state'];
  readonly deadline: Date | null;
  readonly ended: boolean;
}

/** That a session is over, why, and what it came to. */
export interface SessionEnding {
  readonly id: SessionId;
  readonly reason: SessionEndReason;
  readonly statements: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface SessionTable {
  insert(session: Session): Promise<void>;
  byId(id: SessionId): Promise<Session | null>;
  lock(id: SessionId): Promise<Session | null>;
  list(filter: SessionFilter, page: Page): Promise<readonly Session[]>;
  /** How many are live under each; nothing for a grant with none. */
  countLive(grants: readonly GrantId[]): Promise<ReadonlyMap<GrantId, number>>;
  activate(id: SessionId, facts: JsonObject): Promise<boolean>;
  /** Extends the leases of those still live on this broker to `leaseMs` plus their grant's grace from now; answers them all, with their grants. */
  renew(broker: string, ids: readonly SessionId[], leaseMs: number): Promise<readonly { readonly session: Session; readonly grant: Grant }[]>;
  /** Where these sessions and their grants stand, without locking; those not known are left out. */
  standing(ids: readonly SessionId[]): Promise<readonly SessionStanding[]>;
  /** Asks the brokers to end these; keeps an earlier reason. Answers the ids that were live. */
  cut(filter: SessionFilter & { readonly ids?: readonly SessionId[] }, reason: SessionEndReason): Promise<readonly SessionId[]>;
  /** Answers those that were live until now, each once. */
  endAll(ends: readonly SessionEnding[], at: Date): Promise<readonly Session[]>;
  /**
   * The target was read back and holds no session of this part: those that still count as live lapse at `until`, unless
   * their broker tells of them before.
   */
  letLapse(grant: GrantId, part: PartId, until: Date): Promise<void>;
  /** Locks, skipping locked, live sessions whose lease ran out before `before`. */
  lockLost(before: Date, limit: number, except?: readonly SessionId[]): Promise<readonly Session[]>;
  /** Keeps a chunk once, chained to the one before. Answers false for a gap in `seq`. */
  appendChunk(id: SessionId, seq: number, sealed: Uint8Array, plainHash: string, events: number, at: Date): Promise<boolean>;
  /** In order of `seq`, from one on: at most `limit`. `sealed` is null where it was destroyed. */
  chunks(id: SessionId, from: number, limit: number): Promise<readonly { readonly seq: number; readonly sealed: Uint8Array | null; readonly hash: string; readonly at: Date }[]>;
}
