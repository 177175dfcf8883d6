/** The checks and triggers of src/store/schema.sql that hold invariants, by table. */
import { GRANT_TRANSITIONS, mayBecome, PART_TRANSITIONS } from '#domain/lifecycle.ts';
import type { Grant, Session } from '#domain/grant.ts';
import type { AccessRequest } from '#domain/request.ts';
import type { Review } from '#domain/review.ts';
import { databaseError, violates } from './database-error.ts';
import type { EntryRow, PartRow } from './memory.ts';
import type { Transaction } from './transaction.ts';

type Check<R> = (tx: Transaction, before: R | null, after: R | null) => void;

/** A row that no code of ours may write. */
function check(holds: boolean, constraint: string): void {
  if (!holds) throw violates(constraint, `new row violates check constraint "${constraint}"`, '23514');
}

function fits(text: string | null): void {
  if (text?.includes('\0')) throw databaseError('22021', null, 'invalid byte sequence for encoding "UTF8": 0x00');
}

const sameBut = <R extends object>(a: R, b: R, free: readonly string[]) =>
  (Object.keys(a) as (keyof R & string)[]).every((member) => free.includes(member) || a[member] === b[member]);

const request: Check<AccessRequest> = (tx, before, after) => {
  if (after === null) throw violates('requests_are_immutable', 'a request stays');
  fits(after.reason);
  check(after.expiresAt > after.createdAt, 'requests_check');
  check((after.state === 'pending') === (after.decidedAt === null), 'requests_check1');
  if (before === null) {
    if (tx.get(tx.tables.principals, after.principal) === null) throw violates('requests_principal_id_fkey', 'no such principal', '23503');
    return;
  }
  if (sameBut(before, after, ['reason', 'ticket', 'decisionReason', 'erasedAt']) && before.state !== 'pending' && after.decisionReason === null && isErased(before, after)) return;
  if (before.state !== 'pending') throw violates('requests_are_decided_once', `request ${before.id} is already ${before.state}`);
  if (!sameBut(before, after, ['state', 'decidedAt', 'decisionReason'])) throw violates('requests_are_immutable', `request ${before.id} is immutable`);
};

/** Words are taken out of a decided request, and nothing else. */
const isErased = (before: AccessRequest, after: AccessRequest) => sameBut(before, after, ['decisionReason'])
  || (before.erasedAt === null && after.erasedAt !== null && after.reason === '[erased]' && after.ticket === null);

const review: Check<Review> = (tx, before, after) => {
  if (before !== null && after !== null && after.reason === null && sameBut(before, after, ['reason'])) return;
  if (before !== null || after === null) throw violates('reviews_are_final', 'a review is final');
  const asked = tx.get(tx.tables.requests, after.request);
  if (asked === null) throw violates('reviews_request_id_fkey', 'no such request', '23503');
  const owner = tx.get(tx.tables.principals, asked.principal)?.principal.owner;
  if ([asked.principal, asked.onBehalfOf, owner].includes(after.reviewer)) throw violates('reviews_are_by_others', 'nobody decides on their own request');
  if (after.requestHash !== asked.hash) throw violates('reviews_name_the_hash', `the review names another hash than request ${after.request}`);
};

const grant: Check<Grant> = (tx, before, after) => {
  if (after === null) return;
  const ending = after.state === 'revoking' || after.state === 'ended';
  check(after.state !== 'active' || (after.activatedAt !== null && after.deadline !== null), 'grants_check');
  check(after.deadline === null || after.activatedAt === null || after.deadline > after.activatedAt, 'grants_check1');
  check(ending === (after.endReason !== null), 'grants_check2');
  check(ending === (after.revokeDueAt !== null), 'grants_check3');
  check((after.state === 'ended') === (after.endedAt !== null), 'grants_check4');
  check(after.overdueAt === null || ending, 'grants_check5');
  if (before === null) {
    tx.atCommit(() => {
      if (tx.get(tx.tables.requests, after.request)?.state !== 'approved') throw violates('grants_are_approved', `request ${after.request} is not approved`);
    });
    return;
  }
  if (before.state !== after.state && !mayBecome(GRANT_TRANSITIONS, before.state, after.state)) {
    throw violates('grants_move_forward', `grant ${before.id} cannot go from ${before.state} to ${after.state}`);
  }
  if ((before.state === 'revoking' || before.state === 'ended') && before.deadline?.getTime() !== after.deadline?.getTime()) {
    throw violates('grants_move_forward', `the deadline of grant ${before.id} is past moving`);
  }
  if (after.state === 'ended' && before.state !== 'ended' && holdsSomething(tx, after)) throw violates('grants_end_verified', `grant ${before.id} still holds something`);
};

function holdsSomething(tx: Transaction, { id }: Grant): boolean {
  return tx.live(tx.tables.parts).some(({ part }) => part.grant === id && part.state !== 'absent' && (part.state !== 'planned' || part.fence > 0))
    || tx.live(tx.tables.sessions).some((session) => session.grant === id && session.state !== 'ended');
}

const part: Check<PartRow> = (tx, before, after) => {
  if (after === null) return;
  const { part: row, claimedUntil, secret, settled } = after;
  if (before === null && tx.get(tx.tables.grants, row.grant) === null) throw violates('grant_parts_grant_id_fkey', 'no such grant', '23503');
  if (before !== null && before.part.state !== row.state && !mayBecome(PART_TRANSITIONS, before.part.state, row.state)) {
    throw violates('parts_move_forward', `part ${row.id} cannot go from ${before.part.state} to ${row.state}`);
  }
  check((row.work === null) === (row.dueAt === null), 'grant_parts_check');
  check(claimedUntil === null || row.work !== null, 'grant_parts_check1');
  check(row.state !== 'absent' || (row.work === null && secret === null), 'grant_parts_check2');
  check(!settled || row.state === 'absent', 'grant_parts_check3');
};

const session: Check<Session> = (_, __, after) => {
  if (after === null) return;
  check((after.state === 'ended') === (after.endedAt !== null), 'sessions_check');
  check((after.state === 'ended') === (after.endReason !== null), 'sessions_check1');
};

const entry: Check<EntryRow> = (_, before, after) => {
  if (after === null) throw violates('log_entries_are_final', 'log entries stay');
  if (before !== null && (before.index !== null || !sameBut(before, after, ['index', 'leaf']))) throw violates('log_entries_are_final', 'log entries are final');
};

const tile: Check<Uint8Array> = (_, before, after) => {
  if (before === null) return;
  if (after === null || !Buffer.from(after.subarray(0, before.length)).equals(before)) throw violates('log_tiles_only_grow', 'a tile of the log only grows');
};

export const CHECKS: Readonly<Record<string, Check<unknown>>> = {
  requests: request, reviews: review, grants: grant, grant_parts: part, sessions: session, log_entries: entry, log_tiles: tile,
} as Readonly<Record<string, Check<never>>> as Readonly<Record<string, Check<unknown>>>;
