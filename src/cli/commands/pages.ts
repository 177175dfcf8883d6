import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

const LARGEST_PAGE = 500;
/** Of the catalogue, whose rows cost the server more. */
const LARGEST_NAMED_PAGE = 100;

/** Follows a list until `limit` items are there. The answer has the shape of one page. */
export async function collect<T>(limit: number, fetchPage: (query: { limit: number; cursor?: string }) => Promise<Page<T>>): Promise<Page<T>> {
  const items: T[] = [];
  for (let next: string | null = null; ; ) {
    const page: Page<T> = await fetchPage({ limit: Math.min(LARGEST_PAGE, limit - items.length), ...(next === null ? {} : { cursor: next }) });
    items.push(...page.items);
    next = page.next;
    if (next === null || items.length >= limit || page.items.length === 0) return { items, next };
  }
}

/** Follows a list of the catalogue to its end. */
export async function collectAll<T>(fetchPage: (query: { limit: number; cursor?: string }) => Promise<Page<T>>): Promise<Page<T>> {
  return collect(Number.POSITIVE_INFINITY, (query) => fetchPage({ ...query, limit: LARGEST_NAMED_PAGE }));
}

export function readLimit(text: string | undefined): number {
  const limit = Number(text ?? 50);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100_000) throw new Failure(EXIT.usage, '--limit is a whole number from 1 to 100000');
  return limit;
}

/** What stands below a list that was cut off. */
export const more = ({ next }: Page<unknown>): string => (next === null ? '' : '\n… and more: raise --limit');
