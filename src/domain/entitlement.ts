import type { Seconds } from './duration.ts';
import type { EntitlementId, FolderId, GroupId, TargetId } from './id.ts';
import type { JsonObject } from './json.ts';

/**
 * How access becomes real.
 * - `ephemeral_account`: an account made for the grant and deleted with it;
 * - `temporary_elevation`: an existing account raised by a role of the grant's own, and afterwards exactly what it was;
 * - `brokered_session`: the broker signs in with a stored credential; what sessions change of that account is put back.
 */
export const GRANT_KINDS = ['ephemeral_account', 'temporary_elevation', 'brokered_session'] as const;
export type GrantKind = (typeof GRANT_KINDS)[number];

/**
 * What happens to open sessions as the deadline nears. Every mode ends them at the deadline (invariant 1).
 * - `cut`: no word before;
 * - `warn_then_cut`: a notice `warnSeconds` before;
 * - `no_new_sessions`: no session starts in the last `warnSeconds`.
 */
export const END_MODES = ['cut', 'warn_then_cut', 'no_new_sessions'] as const;
export type EndMode = (typeof END_MODES)[number];

/** One stage of approval: `required` different persons out of these groups. Stages are passed in order. */
export interface ApprovalStage {
  readonly name: string;
  readonly groups: readonly GroupId[];
  readonly required: number;
}

/** What a grant does on one target. The shape of `scope` belongs to the target's connector. */
export interface EntitlementPart {
  readonly target: TargetId;
  readonly kind: GrantKind;
  /**
   * The target's account that is raised or signed in as; `{name}` stands for the requester's own name. `null` for an
   * ephemeral account, whose name comes from the grant.
   */
  readonly account: string | null;
  readonly scope: JsonObject;
}

/** What may be asked for, on which targets, for how long, and who must agree. States WHAT, never WHEN. */
export interface Entitlement {
  readonly id: EntitlementId;
  readonly name: string;
  readonly title: string;
  readonly folder: FolderId | null;
  /** Grows with every change; a request pins the revision it was made for. */
  readonly revision: number;
  readonly parts: readonly EntitlementPart[];
  readonly stages: readonly ApprovalStage[];
  readonly defaultDuration: Seconds;
  readonly maxDuration: Seconds;
  readonly endMode: EndMode;
  readonly warnSeconds: Seconds;
  /** How long a broker carries a session on while it can't reach the control plane. */
  readonly graceSeconds: Seconds;
  /** Whether literals in recorded statements are replaced by `?`. */
  readonly maskLiterals: boolean;
  readonly retiredAt: Date | null;
}

export interface Target {
  readonly id: TargetId;
  readonly name: string;
  readonly type: string;
  readonly folder: FolderId | null;
  /** Where it is and how to reach it; the shape belongs to the connector. Never a secret. */
  readonly config: JsonObject;
  readonly retiredAt: Date | null;
}
