import type { Answer } from '#contract/routes.ts';
import { escape } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { grantMark } from '../output/paint.ts';
import { table } from '../output/table.ts';
import { duration } from '../output/times.ts';
import type { Run } from '../session/run.ts';
import { actor } from './render-request.ts';

export type Grant = Answer<'grant'>;

/** When it ends or ended: `ends 14:32 CET, in 17 min`. */
export function ending(run: Run, grant: Grant): string {
  const { times } = run;
  if (grant.state === 'ended') return `${grant.endReason ?? 'ended'} ${times.both(grant.endedAt ?? grant.createdAt)}`;
  if (grant.state === 'revoking') return `removal due since ${times.both(grant.revokeDueAt ?? grant.deadline ?? grant.createdAt)}`;
  if (grant.deadline) return `ends ${times.both(grant.deadline)}`;
  return `${duration(grant.durationSeconds)}, starts ${times.both(grant.startAt)}`;
}

/** Beneath the table: what holds up which grant, and what to do. */
function heldUp(run: Run, grants: readonly Grant[]): string {
  const lines = grants.flatMap((grant) => grant.parts.filter((part) => part.lastError !== null).map((part) =>
    `\n${run.paint('bad', '▲')} ${escape(grant.id)} on ${escape(part.target.name)}: ${escape(part.lastError ?? '')}${part.nextStep === null ? '' : `\n  ${run.paint('dim', escape(part.nextStep))}`}`));
  return lines.join('');
}

export function renderGrants(run: Run, grants: readonly Grant[]): string {
  return table<Grant>(grants, [
    { head: 'grant', cell: (grant) => grant.id },
    { head: 'state', cell: grantMark },
    { head: 'who', cell: (grant) => actor(grant.principal, grant.onBehalfOf), flexible: true },
    { head: 'entitlement', cell: (grant) => grant.entitlement.name },
    { head: 'on', cell: (grant) => grant.parts.map((part) => part.target.name).join(', '), flexible: true },
    { head: 'time', cell: (grant) => ending(run, grant) },
    { head: 'live', cell: (grant) => grant.liveSessions || null, align: 'right' },
    { head: 'why', cell: (grant) => grant.reason, flexible: true },
  ], run.paint, run.columns) + heldUp(run, grants);
}

/** What the connector read on the target, a fact to a line. */
function evidenceLines(evidence: Grant['parts'][number]['evidence']): string[] {
  return Object.entries(evidence ?? {}).map(([name, value]) => {
    const plain = Array.isArray(value) && value.every((each) => typeof each === 'string');
    return `${name}: ${plain ? value.join(', ') || 'none' : typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
}

export function renderGrant(run: Run, grant: Grant): string {
  const { paint, times } = run;
  const mark = grantMark(grant);
  const blocked = Object.entries(grant.actions).filter(([, action]) => !action.allowed && action.reason).map(([name, action]) => `${name}: ${action.reason ?? ''}`);
  return [
    `${escape(grant.id)}  ${paint(mark.tone, mark.text)}  ${escape(ending(run, grant))}`,
    facts([
      ['who', actor(grant.principal, grant.onBehalfOf)],
      ['what', `${grant.entitlement.title} (${grant.entitlement.name}, revision ${grant.entitlement.revision})`],
      ['why', grant.reason],
      ['ticket', grant.ticket],
      ['request', grant.request],
      ['active since', grant.activatedAt ? times.both(grant.activatedAt) : null],
      ['deadline', grant.deadline ? times.both(grant.deadline) : null],
      ['overdue since', grant.overdueAt ? { tone: 'bad', text: times.both(grant.overdueAt) } : null],
      ['sessions', grant.liveSessions === 0 ? null : `${grant.liveSessions} live`],
      ['not now', blocked],
    ], paint, run.columns),
    ...grant.parts.map((part) =>
      facts([
        [`part ${part.ordinal}`, `${part.target.name} (${part.target.type}): ${part.kind}, ${part.state}`],
        ['object', part.account && part.account !== part.object ? `${part.object} as ${part.account}` : part.object],
        ['reach', part.reach],
        ['attempts', part.lastError ? `${part.attempts}; last problem: ${part.lastError}${part.nextAttemptAt ? `; again ${times.away(part.nextAttemptAt)}` : ''}` : null],
        ['what to do', part.nextStep],
        ['read back', evidenceLines(part.evidence)],
      ], paint, run.columns),
    ),
    ...(grant.actions.connect.allowed ? [paint('dim', `\nnext: brevet psql ${escape(grant.id)}    give back: brevet finish ${escape(grant.id)}`)] : []),
  ].join('\n');
}
