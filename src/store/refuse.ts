/** What the database's errors mean to whoever called: SQLSTATE and constraint name -> a refusal's code. */
import { DatabaseError } from 'pg';
import { Refusal, type RefusalCode } from '#domain/refusal.ts';

/**
 * Something in the database that no race explains: a defect of ours. It holds no row values, as PostgreSQL's own
 * `detail` does, since those may be verifiers and hashes.
 */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  readonly sqlState: string;
  readonly constraint: string | null;
  constructor(message: string, sqlState: string, constraint: string | null) {
    super(message);
    this.sqlState = sqlState;
    this.constraint = constraint;
  }
}

/** Named in the migrations, in triggers or as PostgreSQL names a unique column's constraint. */
const CONSTRAINTS: Readonly<Record<string, readonly [RefusalCode, string]>> = {
  reviews_request_id_reviewer_id_key: ['already_reviewed', 'you have already decided on this request'],
  reviews_are_by_others: ['own_request', 'nobody decides on their own request'],
  reviews_name_the_hash: ['stale_hash', 'the review names another hash than the request has'],
  keys_public_key_key: ['already_exists', 'this key is enrolled already'],
};

/** 40001 serialization_failure, 40P01 deadlock_detected: nothing happened, and the same again may succeed. */
export function mayRunAgain(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '40001' || error.code === '40P01');
}

/** Whether the connection is of no more use. */
export function isLost(error: unknown): boolean {
  if (error instanceof DatabaseError) return /^(?:08|57P|25P03)/.test(error.code ?? '');
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code;
  return (code !== undefined && /^E[A-Z]+$/.test(code)) || LOST.test(error.message);
}

/** How the driver words what has no code. */
const LOST = /^Connection terminated|timeout exceeded when trying to connect|^Client has encountered a connection error|not queryable|^Client was closed|^Query read timeout/;

/**
 * SQLSTATE classes for which the store, not the question, is to blame: connection (08), resources such as a full disk or
 * no free connection (53), an operator or a time limit (55P03, 57), a standby that only reads (25006), a system error (58).
 */
const UNAVAILABLE = /^(?:08|53|57|58|55P03|25006|25P03)/;

/** Answers the error to throw for one that came out of a transaction; refusals and others' errors pass unchanged. */
export function refusalFor(error: unknown): unknown {
  if (isLost(error)) return new Refusal('unavailable', 'the store cannot be reached');
  if (!(error instanceof DatabaseError)) return error;
  const { code = '', constraint } = error;
  if (UNAVAILABLE.test(code)) return new Refusal('unavailable', 'the store cannot serve this now');
  const named = constraint === undefined ? undefined : CONSTRAINTS[constraint];
  if (named) return new Refusal(named[0], named[1]);
  if (code === '23505') {
    return constraint?.endsWith('_name_key') === true
      ? new Refusal('already_exists', 'the name is taken')
      : new Refusal('conflict', 'it exists already');
  }
  if (code === '23503') return new Refusal('conflict', 'what it refers to does not exist, or not any more');
  // Our triggers: the message is written in the migration and names ids and states only.
  if (code === '23000') return new Refusal('conflict', error.message);
  if (code === '40001' || code === '40P01') return new Refusal('conflict', 'others kept changing the same things: try again');
  if (code === '22021' || code === '22P05') return new Refusal('invalid_input', 'the text has a character that cannot be stored');
  return new StoreFault(error.message, code, constraint ?? null);
}
