import type { Shortfall, TargetAccess } from '#app/ports/connector.ts';
import type { GrantKind } from '#domain/entitlement.ts';
import type { JsonObject } from '#domain/json.ts';
import { Refusal } from '#domain/refusal.ts';
import { openTarget, type TargetSession } from './connect.ts';
import { quoteIdentifier } from './identifier.ts';
import { checkOwners } from './lent-roles.ts';
import { roleByName } from './marker.ts';
import { checkReach } from './memberships.ts';
import { plainText } from '../plain-text.ts';
import { grantStatements, wordsOf, type Privilege } from './privileges.ts';
import { resolveScope } from './resolve-scope.ts';
import { parseScope, type Scope } from './scope.ts';
import { checkMayEnd, checkMayRestore } from './sessions.ts';
import type { Tools } from './tools.ts';

interface Part {
  readonly kind: GrantKind;
  readonly account: string | null;
  readonly scope: JsonObject;
}

/** Of what is missing so much is named; a schema may hold thousands of tables. */
const NAMED = 5;
const SIGNAL = 'pg_signal_backend, pg_read_all_stats';

/**
 * Asks the target's catalogues, as Brevet's role, whether everything is there that making the part would use. The SQL is for a
 * superuser of the target.
 */
export async function shortfalls(target: TargetAccess, part: Part, tools: Tools): Promise<readonly Shortfall[]> {
  const found: Shortfall[] = [];
  await told(found, async () => {
    const scope = parseScope(part.kind, part.scope);
    await using session = await openTarget(target, scope.database, tools.timeouts);
    await told(found, () => ofOwnRole(session, part, found));
    if (part.account !== null) await told(found, () => ofAccount(session, part.kind, String(part.account), found));
    await told(found, () => ofRoles(session, target, scope, found, tools));
    await told(found, () => ofPrivileges(session, scope, found));
  });
  return found;
}

/** A refusal is what is looked for. Only that nothing answers is another matter. */
async function told(found: Shortfall[], look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (!(error instanceof Refusal) || error.code === 'target_unreachable') throw error;
    found.push({ message: error.message, sql: null, hint: error.details.hint ?? null });
  }
}

const lack = (found: Shortfall[], message: string, sql: string): void => void found.push({ message, sql, hint: null });
const brevet = (session: TargetSession) => quoteIdentifier(session.config.user);

async function ofOwnRole(session: TargetSession, { kind }: Part, found: Shortfall[]): Promise<void> {
  if (session.superuser) return;
  const [row] = await session.rows('select rolcreaterole from pg_roles where rolname = current_user');
  if (row?.['rolcreaterole'] === true) return;
  const why = kind === 'brokered_session' ? "put back an account's password" : 'make roles';
  lack(found, `Brevet's role may not ${why} (NOCREATEROLE)`, `alter role ${brevet(session)} createrole;`);
}

async function ofAccount(session: TargetSession, kind: GrantKind, account: string, found: Shortfall[]): Promise<void> {
  if (account.includes('{name}')) return await ofAnyAccount(session, found);
  const role = await roleByName(session, account);
  const name = plainText(account);
  if (!role) return void lack(found, `there is no role ${name} on the target`, `create role ${quoteIdentifier(account)} login;`);
  const [row] = await session.rows('select rolcanlogin from pg_roles where oid = $1', [role.oid]);
  if (row?.['rolcanlogin'] !== true) lack(found, `${name} may not sign in to the target (NOLOGIN)`, `alter role ${quoteIdentifier(account)} login;`);
  await mended(found, `grant ${SIGNAL} to ${brevet(session)};`, () => checkMayEnd(session, role.oid));
  if (kind !== 'brokered_session') return;
  // Without CREATEROLE the option alone would not do, and that has been told.
  const admin = session.version >= 160_000 ? `grant ${quoteIdentifier(account)} to ${brevet(session)} with admin true, inherit false, set false;` : null;
  if (admin !== null) await mended(found, admin, () => checkMayRestore(session, role.oid));
}

/** The refusal of a check, with the statement that mends it in place of the hint. */
async function mended(found: Shortfall[], sql: string, check: () => Promise<void>): Promise<void> {
  const refusals: Shortfall[] = [];
  await told(refusals, check);
  found.push(...refusals.map(({ message }) => ({ message, sql, hint: null })));
}

async function ofAnyAccount(session: TargetSession, found: Shortfall[]): Promise<void> {
  const [row] = await session.rows("select rolsuper or (pg_has_role('pg_signal_backend', 'usage') and pg_has_role('pg_read_all_stats', 'usage')) as may from pg_roles where rolname = current_user");
  if (row?.['may'] === true) return;
  lack(found, "Brevet's role on the target could not end the sessions of people's own accounts", `grant ${SIGNAL} to ${brevet(session)};`);
}

/** Roles to lend: that they are there, are none that is never lent, and that Brevet's role may lend them. */
async function ofRoles(session: TargetSession, target: TargetAccess, scope: Scope, found: Shortfall[], tools: Tools): Promise<void> {
  if (scope.roles.length === 0) return;
  const rows = await session.rows(
    `select r.rolname, $2 or pg_has_role(r.oid, 'member with admin option') as may from pg_roles r where r.rolname = any($1)`,
    [scope.roles, session.superuser || session.version < 160_000]);
  for (const role of scope.roles) {
    const row = rows.find((one) => one['rolname'] === role);
    const quoted = quoteIdentifier(role);
    if (!row) lack(found, `there is no role ${plainText(role)} on the target`, `create role ${quoted} nologin;`);
    else if (row['may'] !== true) lack(found, `Brevet's role may not lend role ${plainText(role)} (no admin option)`, `grant ${quoted} to ${brevet(session)} with admin option;`);
  }
  if (rows.length < scope.roles.length) return;
  await checkReach(session, scope.roles);
  await checkOwners(session, target, scope, tools);
}

/** By what the target itself says of each privilege; ownership counts. */
const MAY_GRANT = `
select w.at::int from unnest($1::text[], $2::oid[], $3::int2[], $4::text[]) with ordinality as w(place, oid, col, verb, at)
where not case w.place
  when 'database' then has_database_privilege(w.oid, w.verb || ' with grant option')
  when 'schema' then has_schema_privilege(w.oid, w.verb || ' with grant option')
  when 'table' then has_table_privilege(w.oid, w.verb || ' with grant option')
  when 'column' then has_column_privilege(w.oid, w.col, w.verb || ' with grant option')
  when 'sequence' then has_sequence_privilege(w.oid, w.verb || ' with grant option')
  else has_function_privilege(w.oid, w.verb || ' with grant option') end
order by 1`;

async function ofPrivileges(session: TargetSession, scope: Scope, found: Shortfall[]): Promise<void> {
  if (scope.database === null) return;
  const wanted = await resolveScope(session, scope);
  if (session.superuser) return;
  const rows = await session.rows(MAY_GRANT, [wanted.map(({ on }) => on), wanted.map(({ oid }) => oid), wanted.map(({ column }) => column), wanted.map(({ verb }) => verb)]);
  const lacking = rows.map((row) => wanted[Number(row['at']) - 1]).filter((one): one is Privilege => one !== undefined);
  if (lacking.length === 0) return;
  const rest = lacking.length > NAMED ? ` and ${lacking.length - NAMED} more` : '';
  const words = plainText(`Brevet's role may not pass on ${lacking.slice(0, NAMED).map(wordsOf).join(', ')}${rest} (no grant option)`);
  lack(found, words, grantStatements(lacking).map((what) => `${what} to ${brevet(session)} with grant option;`).join(' '));
}
