import { z } from 'zod';
import type { GrantKind } from '#domain/entitlement.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { faultOfName, formatQualified, parseQualified } from './identifier.ts';
import { plainText } from '../plain-text.ts';
import { refuseIssue } from '../refuse-issue.ts';

/** What may be done to a table. Only the first four come with `access`; the others must be listed by name. */
export const VERBS = ['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger', 'maintain'] as const;
export type Verb = (typeof VERBS)[number];
/** The verbs that PostgreSQL grants on single columns. */
export const COLUMN_VERBS: readonly Verb[] = ['select', 'insert', 'update', 'references'];
const ACCESS: Readonly<Record<'read-only' | 'read-write', readonly Verb[]>> = {
  'read-only': ['select'],
  'read-write': ['select', 'insert', 'update', 'delete'],
};

/**
 * What a grant allows, normalised: every list sorted and without doubles, table names in one spelling, so that equal
 * scopes are equal JSON. Names are exact and case-sensitive. In YAML:
 *
 *     database: orders
 *     access: read-write                  # or verbs: [select, insert]
 *     schemas: [sales]                    # every table in them at activation
 *     tables: [billing.invoices]          # or single ones
 *     columns: { hr.people: [id, name] }  # or columns of one
 *     functions: [sales.close_month]      # every overload
 *     createIn: [scratch]                 # may make objects there
 *     roles: [reporting]                  # becomes a member of these existing roles
 *     ownerRoles: allowed                 # also of such as own objects or may pass privileges on
 *     readOnly: true                      # also tells the server so; enforcement is by privileges
 *     connectionLimit: 3
 */
export interface Scope {
  /** `null` only for an elevation that consists of roles. */
  readonly database: string | null;
  readonly verbs: readonly Verb[];
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
  readonly columns: Readonly<Record<string, readonly string[]>>;
  readonly functions: readonly string[];
  readonly createIn: readonly string[];
  readonly roles: readonly string[];
  /** Without it no role is lent that owns objects or holds a grant option: what is done as it outlives the grant. */
  readonly ownerRoles?: 'allowed';
  readonly readOnly: boolean;
  /** Open sessions at once; 0 where it does not apply. */
  readonly connectionLimit: number;
}

/** The predefined roles (`pg_...`) that only look. All others reach files, programs, sessions or every password hash. */
export const HARMLESS_PREDEFINED: readonly string[] = [
  'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_checkpoint',
];
const ATTRIBUTES = /^(?:superuser|create_?role|create_?db|replication|bypass_?rls|admin)$/i;

const name = z.string().superRefine((value, context) => {
  const fault = faultOfName(value);
  if (fault) context.addIssue({ code: 'custom', message: `the name ${fault}` });
});
const qualified = z.string().transform((value, context) => {
  const parsed = parseQualified(value);
  const fault = parsed && (faultOfName(parsed.schema) ?? faultOfName(parsed.name));
  if (parsed && !fault) return formatQualified(parsed);
  context.addIssue({ code: 'custom', message: fault ? `the name ${fault}` : 'write it as schema.name' });
  return z.NEVER;
});
const list = <T extends z.ZodType>(of: T) => z.array(of).max(1000).default([]).transform((items) => [...new Set(items)].sort());

const SCOPE = z.strictObject({
  database: name.nullable().default(null),
  access: z.enum(['read-only', 'read-write']).optional(),
  verbs: z.array(z.enum(VERBS)).max(VERBS.length).optional(),
  schemas: list(name),
  tables: list(qualified),
  columns: z.record(qualified, z.array(name).min(1).max(1600)).default({}),
  functions: list(qualified),
  createIn: list(name),
  roles: list(name),
  ownerRoles: z.literal('allowed').optional(),
  readOnly: z.boolean().optional(),
  connectionLimit: z.int().min(0).max(1000).optional(),
});
type Written = z.infer<typeof SCOPE>;

/** @throws Refusal `invalid_input`, `dangerous_scope` with `field` */
export function parseScope(kind: GrantKind, scope: unknown): Scope & JsonObject {
  refuseAttributes(scope);
  const parsed = SCOPE.safeParse(scope);
  if (!parsed.success) throw refuseIssue(SCOPE, parsed.error, scope, 'the scope');
  const written = parsed.data;
  const verbs = verbsOf(written);
  const columns = Object.fromEntries(
    Object.entries(written.columns).sort(([a], [b]) => (a < b ? -1 : 1)).map(([table, names]) => [table, [...new Set(names)].sort()]),
  );
  const { database, schemas, tables, functions, createIn, roles } = written;
  const onlyReads = verbs.every((verb) => verb === 'select') && functions.length + createIn.length + roles.length === 0;
  const result = {
    database, verbs, schemas, tables, columns, functions, createIn, roles, ...(written.ownerRoles && { ownerRoles: written.ownerRoles }),
    readOnly: written.readOnly ?? (kind === 'ephemeral_account' && onlyReads),
    connectionLimit: written.connectionLimit || (kind === 'ephemeral_account' ? 10 : 0),
  };
  checkDanger(result);
  checkSense(kind, result);
  if (result.readOnly && !onlyReads) {
    throw invalid('/readOnly', 'can\'t be promised beside verbs that write, functions, roles or createIn');
  }
  return result;
}

function verbsOf(written: Written): readonly Verb[] {
  if (written.access && written.verbs) throw invalid('/verbs', 'write either access or verbs');
  const reach = written.schemas.length + written.tables.length + Object.keys(written.columns).length;
  const verbs = new Set<Verb>(written.access ? ACCESS[written.access] : (written.verbs ?? []));
  if (reach > 0 && verbs.size === 0) throw invalid('/access', 'say what may be done: read-only, read-write, or verbs');
  if (reach === 0 && verbs.size > 0) throw invalid('/tables', 'say where: schemas, tables or columns');
  if (Object.keys(written.columns).length > 0 && ![...verbs].some((verb) => COLUMN_VERBS.includes(verb))) {
    throw invalid('/columns', `on columns there is only ${COLUMN_VERBS.join(', ')}`);
  }
  return VERBS.filter((verb) => verbs.has(verb));
}

function checkSense(kind: GrantKind, scope: Scope): void {
  if (scope.ownerRoles && scope.roles.length === 0) throw invalid('/ownerRoles', 'is about roles, and the scope names none');
  const inDatabase = [...scope.schemas, ...scope.tables, ...Object.keys(scope.columns), ...scope.functions, ...scope.createIn].length;
  if (kind === 'brokered_session') {
    if (inDatabase + scope.roles.length > 0 || scope.readOnly || scope.connectionLimit > 0) {
      throw invalid('', 'a brokered session is limited by its stored account; its scope names the database only');
    }
    if (scope.database === null) throw invalid('/database', 'name the database');
    return;
  }
  if (inDatabase + scope.roles.length === 0) throw invalid('', 'allows nothing: name tables, schemas, functions or roles');
  if (scope.database === null && (inDatabase > 0 || kind === 'ephemeral_account')) throw invalid('/database', 'name the database');
  if (kind === 'temporary_elevation' && (scope.readOnly || scope.connectionLimit > 0)) {
    throw invalid(scope.readOnly ? '/readOnly' : '/connectionLimit', 'does not apply to an account that exists already');
  }
}

function checkDanger(scope: Scope): void {
  const schemaOf = (text: string) => parseQualified(text)?.schema ?? text;
  const places: [string, readonly string[]][] = [
    ['schemas', scope.schemas], ['tables', scope.tables], ['columns', Object.keys(scope.columns)],
    ['functions', scope.functions], ['createIn', scope.createIn],
  ];
  for (const [field, names] of places) {
    const bad = names.find((text) => /^(?:pg_|information_schema$)/i.test(schemaOf(text)));
    if (bad !== undefined) throw danger(`/${field}`, `"${bad}" is in a system catalogue, where nothing is ever granted`);
  }
  for (const role of scope.roles) {
    if (/^pg_/i.test(role) && !HARMLESS_PREDEFINED.includes(role)) {
      throw danger('/roles', `"${role}" reaches beyond tables: files, programs, sessions or every password hash`);
    }
    if (/^(?:brevet_|public$)/i.test(role)) throw danger('/roles', `"${role}" is not a role to lend`);
  }
}

/** Role attributes are no fields; whoever writes them is told why, not only that they are unknown. */
function refuseAttributes(scope: unknown): void {
  if (typeof scope !== 'object' || scope === null) return;
  const bad = Object.keys(scope).find((key) => ATTRIBUTES.test(key));
  if (bad !== undefined) throw danger(`/${bad}`, `${bad} would let the account outlive or widen its grant`);
}

function invalid(field: string, message: string): Refusal {
  return new Refusal('invalid_input', `the scope${field && ` at ${field}`}: ${message}`, { field });
}

function danger(field: string, message: string): Refusal {
  return new Refusal('dangerous_scope', plainText(message), { field });
}
