import { DatabaseError } from 'pg';

/** An error as the driver reports it, so that src/store/refuse.ts tells what it means. */
export function databaseError(code: string, constraint: string | null, message: string): DatabaseError {
  const error = new DatabaseError(message, message.length, 'error');
  error.code = code;
  if (constraint !== null) error.constraint = constraint;
  return error;
}

/** Class 23: unique 23505, check 23514, ours 23000. */
export const violates = (constraint: string, message: string, code = '23000') => databaseError(code, constraint, message);

/** What the driver says when the server went away: whether a commit under way took place is not known. */
export const connectionLost = () => new Error('Connection terminated unexpectedly');
