import type { Entitlement, Target } from '#domain/entitlement.ts';
import type { Grant, GrantPart, Session } from '#domain/grant.ts';
import type {
  EntitlementId, FolderId, GrantId, GroupId, KeyId, PartId, PersonId, PrincipalId, RequestId, SessionId, TargetId,
} from '#domain/id.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import type { EndReason, RequestState, SessionEndReason } from '#domain/lifecycle.ts';
import type { LogEvent } from '#domain/log-event.ts';
import type { Membership, Principal } from '#domain/principal.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import type { ScramVerifier } from './gate.ts';
import type { PolicySet, PolicySource } from './policy.ts';

/**
 * What sleeps until somebody writes: the reconciler (`work`), the sequencer (`log`), gates (`sessions`), waiters (`requests`).
 * `work` with the payload `advance` is for whoever moves grants on; without one also for those who touch targets.
 */
export type Topic = 'work' | 'log' | 'sessions' | 'requests';

/**
 * The truth. `transaction` runs `work` in one read-committed transaction and commits when it resolves, rolls back when
 * it rejects; it may run `work` again after a deadlock, so `work` must have no effect but through `tx`. Methods called
 * `lock...` hold the row until the end of the transaction: whoever decides on a row locks it first, a request before
 * its grant, a grant before its parts. @throws Refusal `unavailable` when the store can't be reached.
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
  /** Destroys the key that the personal parts of the log are sealed under. */
  eraseSubject(id: PrincipalId): Promise<boolean>;
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

export interface RequestFilter {
  readonly principal?: PrincipalId;
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
  /** Locks, skipping locked, up to `limit` pending requests that expired by `now`. */
  lockExpired(now: Date, limit: number): Promise<readonly AccessRequest[]>;
  countPending(principal: PrincipalId): Promise<number>;
  reviews(id: RequestId): Promise<readonly Review[]>;
  /** Of each, oldest first; nothing for one without any. */
  reviewsOf(ids: readonly RequestId[]): Promise<ReadonlyMap<RequestId, readonly Review[]>>;
  insertReview(review: Review): Promise<void>;
}

export interface GrantFilter {
  readonly principal?: PrincipalId;
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
  /** Locks every grant that has not ended: held by or for a principal, with a part on a target, or of an entitlement. In order of id. */
  lockLive(of: { readonly principal: PrincipalId } | { readonly target: TargetId } | { readonly entitlement: EntitlementId }): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `scheduled` whose start has come. */
  lockStarting(now: Date, limit: number): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `active` whose deadline has come, oldest first. */
  lockDue(now: Date, limit: number): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `activating` past their window. */
  lockStale(now: Date, limit: number): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `revoking`, due before `before`, not yet marked overdue. */
  lockOverdue(before: Date, limit: number): Promise<readonly Grant[]>;
  /** Locks, skipping locked: `revoking` with every part absent and no live session. */
  lockFinished(limit: number): Promise<readonly Grant[]>;
  /** Moves many to `revoking` at once (they are locked), with their parts' removal due and their sessions told. */
  revokeAll(ids: readonly GrantId[], reason: EndReason, at: Date): Promise<void>;
  endAll(ids: readonly GrantId[], at: Date): Promise<void>;
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
  retry(id: PartId, fence: number, dueAt: Date, error: string): Promise<boolean>;
  /** Makes a part due: for an extension, or when its target came back. */
  due(id: PartId, work: 'provision' | 'withdraw', at: Date): Promise<void>;
  /** When a target answers again: everything it owes is due now. */
  wakeTarget(id: TargetId, at: Date): Promise<number>;
  /** Targets that are marked unreachable or were never checked, and owe or hold something. */
  targetsToProbe(before: Date): Promise<readonly TargetId[]>;
  /** Those of these objects' names that a live (not absent) part claims, on whatever target: two may be on one server. */
  liveObjects(names: readonly string[]): Promise<ReadonlySet<string>>;
  nextDue(): Promise<Date | null>;
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
  cut(filter: SessionFilter & { readonly id?: SessionId }, reason: SessionEndReason): Promise<readonly SessionId[]>;
  end(id: SessionId, end: { readonly at: Date; readonly reason: SessionEndReason; readonly statements: number; readonly bytesIn: number; readonly bytesOut: number }): Promise<Session | null>;
  /**
   * The target was read back and holds no session of this part: those that still count as live lapse at `until`, unless
   * their broker tells of them before.
   */
  letLapse(grant: GrantId, part: PartId, until: Date): Promise<void>;
  /** Locks, skipping locked, live sessions whose lease ran out before `before`. */
  lockLost(before: Date, limit: number): Promise<readonly Session[]>;
  /** Keeps a chunk once, chained to the one before. Answers false for a gap in `seq`. */
  appendChunk(id: SessionId, seq: number, sealed: Uint8Array, plainHash: string, events: number, at: Date): Promise<boolean>;
  /** In order of `seq`, from one on: at most `limit`. */
  chunks(id: SessionId, from: number, limit: number): Promise<readonly { readonly seq: number; readonly sealed: Uint8Array; readonly hash: string; readonly at: Date }[]>;
}

export interface EnrolledKey {
  readonly id: KeyId;
  readonly principal: PrincipalId;
  readonly label: string;
  /** SPKI, PEM. */
  readonly publicKey: string;
  readonly createdAt: Date;
  /** When and how its holder last signed in. */
  readonly signedInAt: Date;
  readonly signInMethod: 'link' | 'password' | 'administrator';
  /** Who issued the link that this key, or the password behind it, goes back to; `null` for the server itself. */
  readonly issuedBy: PrincipalId | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface ConnectionToken {
  readonly handle: string;
  readonly grant: GrantId;
  readonly principal: PrincipalId;
  readonly verifier: ScramVerifier;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface CredentialTable {
  insertKey(key: EnrolledKey): Promise<void>;
  key(id: KeyId): Promise<EnrolledKey | null>;
  keyByPublicKey(pem: string): Promise<EnrolledKey | null>;
  keysOf(principal: PrincipalId): Promise<readonly EnrolledKey[]>;
  revokeKey(id: KeyId, at: Date): Promise<boolean>;
  touchKey(id: KeyId, at: Date): Promise<void>;
  /** False when this nonce was used with this key before. */
  spendNonce(key: KeyId, nonce: string, at: Date): Promise<boolean>;
  insertLink(verifier: Uint8Array, principal: PrincipalId, issuedBy: PrincipalId | null, at: Date, expiresAt: Date): Promise<void>;
  /** Whose link it is, if it is live; it is spent by this call, once. */
  spendLink(verifier: Uint8Array, at: Date): Promise<{ readonly principal: PrincipalId; readonly issuedBy: PrincipalId | null } | null>;
  insertToken(token: ConnectionToken): Promise<void>;
  token(handle: string, now: Date): Promise<ConnectionToken | null>;
  /** Spends a live token; exactly one of any number of racers is answered with it. */
  spendToken(handle: string, now: Date): Promise<ConnectionToken | null>;
  countTokens(principal: PrincipalId, now: Date): Promise<number>;
  insertCertificate(certificate: { readonly fingerprint: string; readonly principal: PrincipalId; readonly grant: GrantId | null; readonly createdAt: Date; readonly notAfter: Date }): Promise<void>;
  certificate(fingerprint: string, now: Date): Promise<{ readonly principal: PrincipalId; readonly grant: GrantId | null } | null>;
  /** Ends a principal's certificates and unspent tokens: whoever got them by a key has nothing when that key is gone. */
  revokeIssued(principal: PrincipalId, at: Date): Promise<void>;
  /** Opens an idempotency key: `new`, or what was answered the first time, or null when the body differs or it still runs. */
  openIdempotency(principal: PrincipalId, key: string, bodyHash: string, at: Date): Promise<'new' | { readonly status: number; readonly response: string } | null>;
  closeIdempotency(principal: PrincipalId, key: string, status: number, response: string): Promise<void>;
  /** Forgets a key whose call failed on our side, so that the caller may try again. */
  forgetIdempotency(principal: PrincipalId, key: string): Promise<void>;
  /** Drops spent nonces, old idempotency keys, and links, tokens and certificates that ran out before; of each so many at a time. */
  purge(before: Date): Promise<void>;
  ownKey(name: string): Promise<{ readonly sealed: Uint8Array; readonly public: string } | null>;
  /** Keeps the first of several racers' keys and answers the one kept. */
  keepOwnKey(name: string, sealed: Uint8Array, publicKey: string, at: Date): Promise<{ readonly sealed: Uint8Array; readonly public: string }>;
}

export interface StoredEntry {
  readonly id: string;
  readonly index: number | null;
  readonly at: Date;
  readonly type: string;
  /** Canonical JSON, exactly as it is hashed. */
  readonly body: string;
}

export interface EntryFilter {
  readonly grant?: GrantId;
  readonly request?: RequestId;
  readonly principal?: PrincipalId;
  readonly type?: string;
}

/** What an operator watches. */
export interface Counts {
  readonly grants: Readonly<Partial<Record<Grant['state'], number>>>;
  readonly overdue: number;
  readonly sessions: number;
  readonly logSize: number;
  readonly unreachableTargets: number;
}

export interface EntryTable {
  /** Cheap enough for every scrape: only what is live is counted. */
  counts(): Promise<Counts>;
  /** Sequenced entries from an index on, in order. */
  from(index: number, limit: number): Promise<readonly StoredEntry[]>;
  list(filter: EntryFilter, limit: number, before: number | null): Promise<readonly StoredEntry[]>;
  /** Newest sequenced size and the checkpoint that covers it. */
  head(): Promise<{ readonly size: number; readonly checkpoint: string | null }>;
  tile(level: number, number: number): Promise<Uint8Array | null>;
}

export type { Json };
