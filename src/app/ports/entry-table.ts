import type { Grant } from '#domain/grant.ts';
import type { GrantId, PrincipalId, RequestId } from '#domain/id.ts';

/** The log as the store keeps it. Part of the store (store.ts). */
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

/**
 * Where a page of the log ended: the next one holds what has a number below `below`. A page that ended among the entries
 * without a number goes on with those that arrived before its last one, too, whether or not they have got one meanwhile.
 */
export interface LogCursor {
  readonly below: number;
  readonly arrivedBefore: number | null;
}

export interface LogPage {
  readonly entries: readonly StoredEntry[];
  /** `null` on the last page. */
  readonly next: LogCursor | null;
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
  /** Newest first: what has no number yet comes before everything that has. */
  list(filter: EntryFilter, limit: number, cursor: LogCursor | null): Promise<LogPage>;
  /** The numbers below `size`, rising, of at most `limit` entries about a grant or any of these requests. */
  numbersOf(grant: GrantId, requests: readonly RequestId[], size: number, limit: number): Promise<readonly number[]>;
  /** Newest sequenced size and the checkpoint that covers it. */
  head(): Promise<{ readonly size: number; readonly checkpoint: string | null }>;
  tile(level: number, number: number): Promise<Uint8Array | null>;
}
