/**
 * The marks of the recording format; docs/recording-format-postgres.md describes it. Numbers are unsigned LEB128,
 * times in microseconds, texts a length and their bytes.
 */
export const VERSION = 1;

export const HEADER = 1;
export const CLOCK = 2;
export const TEXT = 3;
export const DONE = 4;
export const RUNNING = 5;
export const ENCODING = 6;
export const END = 7;
export const PIECE = 8;
export const WHOLE = 9;

/** Flags of a TEXT, and the first two of a WHOLE. */
export const TRUNCATED = 1;
export const MASKED = 2;
export const SIMPLE = 4;
/** It comes in PIECEs; with a WHOLE, which says what became of it, it has been sent to its end. */
export const PIECES = 8;

/** How an execution came out. */
export const OUTCOME_OK = 1;
export const OUTCOME_ERROR = 2;
export const OUTCOME_EMPTY = 3;
export const OUTCOME_SUSPENDED = 4;
export const OUTCOME_SKIPPED = 5;
export const OUTCOME_CUT = 6;
