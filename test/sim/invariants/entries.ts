import type { Grant, Session } from '#domain/grant.ts';
import type { Principal } from '#domain/principal.ts';
import type { AccessRequest } from '#domain/request.ts';
import { SECRET } from '../connector.ts';
import type { PartRow, PrincipalRow } from '../store/memory.ts';
import type { Change } from '../store/transaction.ts';
import type { Commit, World } from '../world.ts';

/** Invariant 3: every change of state has exactly one entry, written in the same transaction. */
export function changesAreLogged(_: World, { changes, entries }: Commit): string | null {
  const expected = changes.flatMap(expectedEntries).sort();
  const written = entries.filter(({ type }) => TELLS_A_STATE.test(type)).map(({ type, body }) => `${type} ${subjectOf(type, body)}`).sort();
  const missing = expected.filter((line) => !written.includes(line));
  const surplus = written.filter((line, at) => !expected.includes(line) || written.indexOf(line) !== at);
  if (missing.length + surplus.length === 0) return null;
  return `changed without an entry: ${missing.join(', ') || 'nothing'}; told without a change, or twice: ${surplus.join(', ') || 'nothing'}`;
}

const TELLS_A_STATE = /^(?:request\.|review\.given|grant\.|session\.(?!end_asked)|policy\.published|principal\.(?:disabled|enabled))/;

function subjectOf(type: string, body: string): string {
  const { data } = JSON.parse(body) as { data: Record<string, string> };
  if (type.startsWith('grant.part_')) return data['part'] ?? '';
  if (type === 'review.given') return data['review'] ?? '';
  if (type === 'policy.published') return String(data['version']);
  return data[type.split('.')[0] ?? ''] ?? '';
}

function expectedEntries({ table, key, before, after }: Change): readonly string[] {
  switch (table) {
    case 'requests': return ofRequest(before as AccessRequest | null, after as AccessRequest);
    case 'reviews': return [`review.given ${key}`];
    case 'grants': return ofGrant(before as Grant | null, after as Grant);
    case 'grant_parts': return ofPart(before as PartRow | null, after as PartRow);
    case 'sessions': return ofSession(before as Session | null, after as Session);
    case 'policy_versions': return [`policy.published ${key}`];
    case 'principals': return ofPrincipal((before as PrincipalRow | null)?.principal ?? null, (after as PrincipalRow).principal);
    default: return [];
  }
}

function ofRequest(before: AccessRequest | null, after: AccessRequest): string[] {
  const decided = after.state !== 'pending' && before?.state !== after.state ? [`request.${after.state} ${after.id}`] : [];
  return before === null ? [`request.submitted ${after.id}`, ...decided] : decided;
}

function ofGrant(before: Grant | null, after: Grant): string[] {
  const lines = before?.state === after.state ? [] : [`grant.${after.state} ${after.id}`];
  if (before?.overdueAt === null && after.overdueAt !== null) lines.push(`grant.overdue ${after.id}`);
  if (before?.deadline && after.deadline && after.deadline > before.deadline) lines.push(`grant.extended ${after.id}`);
  return lines;
}

function ofPart(before: PartRow | null, after: PartRow): string[] {
  const { part } = after;
  const provisioned = before?.part.work === 'provision' && part.work === null && part.state === 'present';
  if (provisioned) return [`grant.part_${before.part.state === 'present' ? 'extended' : 'present'} ${part.id}`];
  if (before === null || before.part.state === part.state || part.state === 'planned') return [];
  return [`grant.part_${part.state} ${part.id}`];
}

function ofSession(before: Session | null, after: Session): string[] {
  if (before === null) return [`session.opened ${after.id}`];
  return before.state === after.state ? [] : [`session.${after.state} ${after.id}`];
}

function ofPrincipal(before: Principal | null, after: Principal): string[] {
  if (before === null || (before.disabledAt === null) === (after.disabledAt === null)) return [];
  return [`principal.${after.disabledAt === null ? 'enabled' : 'disabled'} ${after.id}`];
}

/** Invariant 9. */
export function theLogHoldsNoSecret(_: World, { entries, changes }: Commit): string | null {
  const told = entries.find(({ body }) => body.includes(SECRET));
  if (told) return `${told.type} ${told.id} tells a secret`;
  for (const { table, after } of changes) {
    if (table !== 'grant_parts') continue;
    const { part } = after as PartRow;
    if (JSON.stringify([part.evidence, part.lastError, part.prior]).includes(SECRET)) return `${part.id} holds a secret in the open`;
  }
  return null;
}
