import { createHash } from 'node:crypto';
import { isId, type GrantId, type PartId } from '#domain/id.ts';
import { Refusal } from '#domain/refusal.ts';
import type { Row, TargetSession } from './connect.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';

/** The names of accounts that Brevet makes: the body of the grant's id, and the part's number from the second on. */
const OBJECT_NAME = /^brevet_[0-7][0-9a-hjkmnp-tv-z]{25}(?:_[1-9]\d{0,2})?$/;

export function isObjectName(name: string): boolean {
  return OBJECT_NAME.test(name);
}

/**
 * The comment on a role by which Brevet knows its own. `oid` ties it to the one role it was written for, so that it
 * names this role after a renaming and proves nothing when copied to another.
 *
 * It is believed only in what takes away: whose the role is, whose sessions to end. Whoever may write comments on roles
 * could write one, and must not have anything given by it.
 */
export interface Marker {
  /** Which Brevet made it: several may administer one server, and each sweeps its own. */
  readonly installation: string;
  readonly grant: GrantId;
  readonly part: PartId;
  readonly fence: number;
  readonly oid: number;
  /** The account that this role raises (an elevation); `null` for an account that people sign in to. */
  readonly raises: number | null;
  /** The start of the SHA-256 of the password's verifier: tells later whether the session changed its password. */
  readonly seal: string | null;
}

export function sealOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('hex').slice(0, 16);
}

function formatMarker({ installation, grant, part, fence, oid, raises, seal }: Marker): string {
  return `brevet of=${installation} grant=${grant} part=${part} fence=${fence} oid=${oid} raises=${raises ?? '-'} seal=${seal ?? '-'}`;
}

export function parseMarker(comment: unknown): Marker | null {
  const match = /^brevet of=([0-9a-z]{1,40}) grant=(\S+) part=(\S+) fence=(\d{1,15}) oid=(\d{1,10}) raises=(\d{1,10}|-) seal=([0-9a-f]{16}|-)$/.exec(String(comment ?? ''));
  const [, installation, grant, part, fence, oid, raises, seal] = match ?? [];
  if (!isId('grant', grant) || !isId('part', part)) return null;
  const some = (text: string | undefined) => (text === undefined || text === '-' ? null : text);
  return {
    installation: String(installation), grant, part, fence: Number(fence), oid: Number(oid),
    raises: some(raises) === null ? null : Number(raises), seal: some(seal),
  };
}

export async function mark(session: TargetSession, name: string, marker: Marker): Promise<void> {
  await session.rows(`comment on role ${quoteIdentifier(name)} is ${quoteLiteral(formatMarker(marker))}`);
}

export interface Role {
  readonly oid: number;
  readonly name: string;
  readonly superuser: boolean;
  /** It is the role that Brevet itself signed in as. */
  readonly self: boolean;
  readonly validUntil: string | null;
  readonly marker: Marker | null;
}

const ROLE = `select r.oid, r.rolname, r.rolsuper, r.rolname = current_user as self, r.rolvaliduntil::text as valid_until,
    shobj_description(r.oid, 'pg_authid') as comment
  from pg_roles r`;
const MARKED = "select d.objoid from pg_shdescription d where d.classoid = 'pg_authid'::regclass and d.description like";

export async function roleByName(session: TargetSession, name: string): Promise<Role | null> {
  const [row] = await session.rows(`${ROLE} where r.rolname = $1`, [name]);
  return row ? roleOf(row) : null;
}

export async function roleByOid(session: TargetSession, oid: number): Promise<Role | null> {
  const [row] = await session.rows(`${ROLE} where r.oid = $1`, [oid]);
  return row ? roleOf(row) : null;
}

/** Every role with this installation's mark that bears a name of Brevet's, or was renamed since it was marked. */
export async function markedRoles(session: TargetSession, installation: string): Promise<readonly Role[]> {
  const roles = (await session.rows(`${ROLE} where r.oid in (${MARKED} 'brevet of=%')`)).map(roleOf);
  return roles.filter((role) => isOurs(role, installation));
}

export function isOurs(role: Role, installation: string): boolean {
  return role.marker?.installation === installation && mayRemove(role) && (isObjectName(role.name) || role.marker.oid === role.oid);
}

export interface FoundAccount {
  /** The part's own account, under whatever name it bears now. */
  readonly own: Role | null;
  /** A role that bears the part's name without its mark: somebody else's, never touched. */
  readonly stranger: Role | null;
}

/** Looks for a part's account, by name and by mark. */
export async function findAccount(session: TargetSession, plan: { grant: GrantId; part: PartId; objectName: string }, installation: string): Promise<FoundAccount> {
  const like = `brevet of=${installation} grant=${plan.grant.replaceAll('_', '\\_')} part=${plan.part.replaceAll('_', '\\_')} %`;
  const roles = (await session.rows(`${ROLE} where r.rolname = $1 or r.oid in (${MARKED} $2)`, [plan.objectName, like])).map(roleOf);
  const marked = roles.filter(({ marker }) => marker?.installation === installation && marker.grant === plan.grant && marker.part === plan.part).filter(mayRemove);
  const own = marked.find(({ name }) => name === plan.objectName) ?? marked.find(({ marker, oid }) => marker?.oid === oid) ?? null;
  const stranger = roles.find(({ name, oid }) => name === plan.objectName && oid !== own?.oid) ?? null;
  return { own, stranger };
}

/** Whoever wrote Brevet's mark on a superuser or on Brevet's own role did not make it an account of a grant. */
function mayRemove(role: Role): boolean {
  return !role.superuser && !role.self;
}

function roleOf(row: Row): Role {
  const { oid, rolname, valid_until: validUntil } = row;
  if (typeof oid !== 'number' || typeof rolname !== 'string') throw new Refusal('target_refused', 'the target described a role wrongly');
  return {
    oid, name: rolname, superuser: row['rolsuper'] !== false, self: row['self'] !== false,
    validUntil: typeof validUntil === 'string' ? validUntil : null, marker: parseMarker(row['comment']),
  };
}
