import type { Concerning } from '#app/ports/store.ts';
import type { PrincipalId } from '#domain/id.ts';

/** `order by`: by a text as the database compares ids (bytes), or by an instant, nulls last. */
export const byText = <R>(of: (row: R) => string) => (a: R, b: R) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0);

export const byInstant = <R>(of: (row: R) => Date | null) => (a: R, b: R) => (of(a)?.getTime() ?? Infinity) - (of(b)?.getTime() ?? Infinity);

export const newestFirst = <R extends { readonly id: string }>(rows: readonly R[], page: { readonly before: string | null; readonly limit: number }): R[] =>
  rows.filter(({ id }) => page.before === null || id < page.before).sort(byText(({ id }) => id)).toReversed().slice(0, page.limit);

/** `least`, which passes over nulls. */
export function least(instants: readonly (Date | null | undefined)[]): Date | null {
  const known = instants.filter((instant) => instant != null).map((instant) => instant.getTime());
  return known.length === 0 ? null : new Date(Math.min(...known));
}

/** By name, or whatever else a page goes on after. */
export const pageAfter = <R>(rows: readonly R[], of: (row: R) => string, page: { readonly after: string | null; readonly limit: number }): R[] =>
  rows.filter((row) => page.after === null || of(row) > page.after).sort(byText(of)).slice(0, page.limit);

export const isConcerned = (row: { readonly principal: PrincipalId; readonly onBehalfOf: PrincipalId | null }, of: Concerning | undefined): boolean =>
  of === undefined || of.principals.includes(row.principal) || row.onBehalfOf === of.behalf;
