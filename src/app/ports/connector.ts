import type { GrantKind } from '#domain/entitlement.ts';
import type { GrantId, PartId, TargetId } from '#domain/id.ts';
import type { Json, JsonObject } from '#domain/json.ts';
import type { Upstream } from './gate.ts';

/** A target as a connector sees it. `credential` is Brevet's own (administrative) secret for it, opened; never log it. */
export interface TargetAccess {
  readonly id: TargetId;
  readonly name: string;
  readonly config: JsonObject;
  readonly credential: string | null;
}

/** What is to be true on the target, committed to the store before the target is touched. */
export interface PartPlan {
  readonly grant: GrantId;
  readonly part: PartId;
  readonly target: TargetAccess;
  readonly kind: GrantKind;
  readonly scope: JsonObject;
  /** The name of the object on the target, derived from the grant's id alone: the same at every attempt. */
  readonly objectName: string;
  /** The target account that a `temporary_elevation` raises or a `brokered_session` signs in as; else `null`. */
  readonly account: string | null;
  /** The target's stored secret of that account, opened, for a `brokered_session`; else, or when none is stored, `null`. */
  readonly accountCredential: string | null;
  readonly deadline: Date;
  /** Grows with each claim; a worker whose fence is no longer the highest must not change the target. */
  readonly fence: number;
  /**
   * What `prepare` read before the first change; what `withdraw` must bring back. For the removal of a `brokered_session` with
   * `backends` (what brokers noted of its sessions), `spared` (the same of others on the account) and `found` (residue so far).
   */
  readonly prior: JsonObject | null;
}

export interface Provisioned {
  /** The secret with which a broker signs in as the account made; sealed at once by the caller. */
  readonly secret: string | null;
  /** What was read back from the target after the change. No secrets. */
  readonly evidence: JsonObject;
}

export interface Withdrawn {
  /** Whether the target was read back and holds neither account nor privilege nor session of this part. */
  readonly gone: boolean;
  /** What stays behind and was found: objects reassigned, persistence planted. No secrets. Kept from attempts that do not finish, too. */
  readonly residue: readonly Json[];
  readonly evidence: JsonObject;
}

export interface Probe {
  readonly reachable: boolean;
  /** Target's clock minus ours, in milliseconds; `null` when unknown. */
  readonly skewMs: number | null;
  readonly version: string | null;
  /** In plain words, without secrets, when not reachable. */
  readonly problem: string | null;
  /** What to do about the problem, in one sentence. */
  readonly hint: string | null;
}

/** An object of Brevet's found on a target: its name and, when the name tells, whose it is. */
export interface OwnedObject {
  readonly name: string;
  readonly validUntil: Date | null;
}

/** Something without which an entitlement's part can't become real on its target. */
export interface Shortfall {
  /** In plain words, escaped, without secrets. */
  readonly message: string;
  /** What an administrator of the target runs there to mend it, in the database that the scope names; `null` when no statement would. */
  readonly sql: string | null;
  /** What to do in other words, in one sentence. */
  readonly hint: string | null;
}

/** A standing privilege found on a target: who can do what with no grant. */
export interface StandingPrivilege {
  readonly account: string;
  readonly privilege: string;
  readonly on: string;
}

/**
 * Changes a target from outside. All calls are bounded in time (the connector's own, at most 15 s without an answer)
 * and may be repeated any number of times, by any node, after any crash:
 * - `provision` twice leaves one account, `withdraw` of what is gone succeeds;
 * - `provision` asks `stillMine` right before it makes its change lasting and gives up when that says no, so that a
 *   worker that slept through its claim changes nothing;
 * - two nodes may run `provision` and `withdraw` of one part at once: the target's own locks decide, and `withdraw`
 *   that reports `gone` has read it after its own change. `provision` may give up for a lock; `withdraw` takes the access
 *   away whatever those who hold an account on the target keep locked there.
 *
 * Errors are `Refusal`s: `target_unreachable` (nothing is known about what happened), `target_refused` (the target
 * answered no; the message is escaped and holds no secret), `dangerous_scope`, `invalid_input`.
 */
export interface Connector {
  readonly type: string;
  /** Checks a target's configuration and answers it normalised. @throws Refusal `invalid_input` with `field` */
  parseConfig(config: unknown): JsonObject;
  /** Whether two configurations name the same server: what was made on one is found, and taken away, only there. */
  samePlace(before: JsonObject, after: JsonObject): boolean;
  /** Checks a scope, answers it normalised. @throws Refusal `invalid_input`, `dangerous_scope` with `field` */
  parseScope(kind: GrantKind, scope: unknown): JsonObject;
  /** Whether `narrow` allows nothing that `wide` does not. Both have been parsed. */
  within(narrow: JsonObject, wide: JsonObject): boolean;
  /** The reach of a scope in plain words, a line each: what a reviewer reads. */
  describe(kind: GrantKind, scope: JsonObject): readonly string[];
  /** Cheap: one connection attempt within 3 s. Never throws. */
  probe(target: TargetAccess): Promise<Probe>;
  /** Reads what `withdraw` must bring back. Changes nothing. */
  prepare(plan: PartPlan): Promise<JsonObject>;
  /**
   * Several grants may share the stored account of a `brokered_session`: what is to be brought back at the end of one that
   * read `own`, when another that is live still has read `earlier`.
   */
  baseline(own: JsonObject, earlier: JsonObject): JsonObject;
  provision(plan: PartPlan, stillMine: () => Promise<boolean>): Promise<Provisioned>;
  withdraw(plan: PartPlan): Promise<Withdrawn>;
  /** Brevet's own objects on the target, whoever made them: what the sweeper compares with the live grants. */
  listOwned(target: TargetAccess): Promise<readonly OwnedObject[]>;
  /** Removes an object that no live grant owns: neutralise, end its sessions, drop. Absent is success. */
  removeOwned(target: TargetAccess, name: string): Promise<Withdrawn>;
  /**
   * Where and as whom a broker signs in for a session. `within` is what the client asked for inside the target (a
   * database); @throws Refusal `forbidden` when the scope does not reach it.
   */
  upstream(ask: {
    readonly target: JsonObject;
    readonly scope: JsonObject;
    readonly user: string;
    readonly password: string;
    readonly within: string | null;
  }): Upstream;
  /**
   * What Brevet's role lacks on the target for a part of this kind, account and scope, as far as can be told without making
   * it. `{name}` in `account` stands for anybody's. Changes nothing. @throws Refusal `target_unreachable`
   */
  shortfalls(target: TargetAccess, part: { readonly kind: GrantKind; readonly account: string | null; readonly scope: JsonObject }): Promise<readonly Shortfall[]>;
  listStanding(target: TargetAccess): Promise<readonly StandingPrivilege[]>;
}
