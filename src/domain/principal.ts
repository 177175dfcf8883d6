import type { GroupId, PersonId, PrincipalId } from './id.ts';

/** A person, or a workload (a non-human identity) that a person owns. Names are unique over both and never reused. */
export interface Principal {
  readonly id: PrincipalId;
  readonly kind: 'person' | 'workload';
  /** A short handle: lower-case letters, digits, dots, dashes; what policies and reviewers read. */
  readonly name: string;
  readonly displayName: string;
  /** The person who answers for a workload; `null` for a person. */
  readonly owner: PersonId | null;
  readonly disabledAt: Date | null;
  readonly administrator: boolean;
}

export interface Membership {
  readonly group: GroupId;
  readonly groupName: string;
  readonly since: Date;
}

/** Names that people type and read: one script only, no look-alikes, no bidi tricks (ASCII by rule; UTS 39 is kept). */
export const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;
