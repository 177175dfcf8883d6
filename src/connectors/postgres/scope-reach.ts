import type { GrantKind } from '#domain/entitlement.ts';
import { parseQualified } from './identifier.ts';
import { COLUMN_VERBS, type Scope } from './scope.ts';

/** Whether `narrow` allows nothing that `wide` does not. Decided on the words alone, without asking the target. */
export function within(narrow: Scope, wide: Scope): boolean {
  const schemaOf = (text: string) => parseQualified(text)?.schema ?? '';
  const wholeTable = (table: string) => wide.tables.includes(table) || wide.schemas.includes(schemaOf(table));
  const someColumns = (table: string, columns: readonly string[]) =>
    wholeTable(table) || subset(columns, Object.hasOwn(wide.columns, table) ? (wide.columns[table] ?? []) : []);
  return (
    (narrow.database === wide.database || narrow.database === null) &&
    subset(narrow.verbs, wide.verbs) &&
    subset(narrow.schemas, wide.schemas) &&
    narrow.tables.every(wholeTable) &&
    Object.entries(narrow.columns).every(([table, columns]) => someColumns(table, columns)) &&
    subset(narrow.functions, wide.functions) &&
    subset(narrow.createIn, wide.createIn) &&
    subset(narrow.roles, wide.roles) &&
    (narrow.ownerRoles === undefined || wide.ownerRoles !== undefined) &&
    (narrow.readOnly || !wide.readOnly) &&
    narrow.connectionLimit <= wide.connectionLimit
  );
}

/** The reach in plain words, a line each. */
export function describe(kind: GrantKind, scope: Scope): readonly string[] {
  const lines: string[] = [];
  const verbs = scope.verbs.join(', ');
  const database = scope.database === null ? '' : ` in database ${shown(scope.database)}`;
  if (kind === 'ephemeral_account') {
    lines.push(`signs in to database ${shown(scope.database ?? '')} with an account made for this grant, at most ${scope.connectionLimit} sessions at once`);
  } else if (kind === 'brokered_session') {
    lines.push(`signs in to database ${shown(scope.database ?? '')} with the target's stored account, and may do whatever that account may`);
  } else lines.push('raises an account that exists; its open sessions are ended when the grant ends');
  for (const schema of scope.schemas) lines.push(`${verbs} on every table in schema ${shown(schema)}${database}`);
  for (const table of scope.tables) lines.push(`${verbs} on ${shown(table)}${database}`);
  for (const [table, columns] of Object.entries(scope.columns)) {
    const some = scope.verbs.filter((verb) => COLUMN_VERBS.includes(verb)).join(', ');
    lines.push(`${some} on columns ${columns.map(shown).join(', ')} of ${shown(table)}${database}`);
  }
  for (const name of scope.functions) lines.push(`runs function ${shown(name)}${database}, every overload of it`);
  for (const schema of scope.createIn) lines.push(`creates objects in schema ${shown(schema)}${database}; what is left is handed to a powerless role, closed to everybody else`);
  for (const role of scope.roles) lines.push(`becomes a member of role ${shown(role)}, with everything that role may do`);
  if (scope.ownerRoles) {
    lines.push('WARNING: these roles may own objects and pass privileges on: whoever acts as them can give access to others, or leave code behind, that outlives the grant; it is counted and reported, not taken back');
  }
  if (scope.verbs.includes('trigger')) lines.push('trigger: may attach code that runs with the rights of whoever changes the table');
  if (scope.readOnly) lines.push('reads only');
  return lines;
}

function subset(narrow: readonly string[], wide: readonly string[]): boolean {
  return narrow.every((item) => wide.includes(item));
}

function shown(name: string): string {
  // eslint-disable-next-line no-control-regex
  return /^[\x20-\x7e]*$/.test(name) ? name : `${name} (contains non-ASCII letters)`;
}
