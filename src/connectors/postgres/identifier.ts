import { Refusal } from '#domain/refusal.ts';

/** PostgreSQL keeps 63 bytes of a name (NAMEDATALEN - 1) and silently drops the rest: two long names would meet. */
export const LONGEST_NAME = 63;

/**
 * Quotes a name for SQL (PostgreSQL manual 4.1.1): whatever is in it, it stays one name, and that name.
 * @throws Refusal `invalid_input` for what no name can hold: empty, NUL, lone surrogates (they would become invalid or
 *   other UTF-8 on the wire, CVE-2025-1094), more than 63 bytes.
 */
export function quoteIdentifier(name: string): string {
  checkBytes(name, 'name');
  if (name === '') throw new Refusal('invalid_input', 'a name is empty');
  if (Buffer.byteLength(name) > LONGEST_NAME) {
    throw new Refusal('invalid_input', `a name is longer than ${LONGEST_NAME} bytes and would be cut short`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Quotes text for SQL. With a backslash in it the `E` form is used, which reads the same whatever the server's
 * `standard_conforming_strings` says.
 * @throws Refusal `invalid_input` for NUL and lone surrogates
 */
export function quoteLiteral(text: string): string {
  checkBytes(text, 'text');
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** Schema and name, as `pg_namespace` and `pg_class` spell them. */
export interface QualifiedName {
  readonly schema: string;
  readonly name: string;
}

export function quoteQualified({ schema, name }: QualifiedName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/**
 * Reads `schema.name`, where a part that holds a dot, a quote or outer spaces is written as in SQL: `"odd.one".orders`.
 * Names are exact: unlike in SQL an unquoted `Orders` stays `Orders`. Answers `null` when it is not such a name.
 */
export function parseQualified(text: string): QualifiedName | null {
  const part = String.raw`(?:"((?:[^"]|"")+)"|([^".\s](?:[^".]*[^".\s])?))`;
  const match = new RegExp(String.raw`^${part}\.${part}$`, 'u').exec(text);
  if (!match) return null;
  const schema = match[1]?.replaceAll('""', '"') ?? match[2] ?? '';
  const name = match[3]?.replaceAll('""', '"') ?? match[4] ?? '';
  return { schema, name };
}

/** The one spelling of a qualified name; the inverse of `parseQualified`. */
export function formatQualified({ schema, name }: QualifiedName): string {
  return `${formatPart(schema)}.${formatPart(name)}`;
}

function formatPart(part: string): string {
  return /[".]|^\s|\s$/u.test(part) ? `"${part.replaceAll('"', '""')}"` : part;
}

/**
 * Why a name written by a person is not accepted; `null` when it is. Stricter than the quoting: reviewers read these
 * names, so nothing that hides, turns round or breaks a line may be in them.
 */
export function faultOfName(name: string): string | null {
  if (name === '') return 'is empty';
  if (!name.isWellFormed() || name.includes('\0')) return 'is not valid text';
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name)) return 'holds invisible or control characters';
  if (Buffer.byteLength(name) > LONGEST_NAME) return `is longer than ${LONGEST_NAME} bytes`;
  return null;
}

function checkBytes(text: string, what: string): void {
  if (text.includes('\0')) throw new Refusal('invalid_input', `a ${what} holds a NUL character`);
  if (!text.isWellFormed()) throw new Refusal('invalid_input', `a ${what} is not valid Unicode`);
}
