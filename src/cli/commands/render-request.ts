import type { Answer } from '#contract/routes.ts';
import { escape, misleads } from '../output/escape.ts';
import { facts } from '../output/facts.ts';
import { requestMark } from '../output/paint.ts';
import { duration } from '../output/times.ts';
import type { Run } from '../session/run.ts';

export type AccessRequest = Answer<'request'>;
type Stage = AccessRequest['stages'][number];
type Preview = Answer<'previewRequest'>;
interface Named {
  readonly name: string;
  readonly displayName: string;
}

export const named = ({ name, displayName }: Named): string => (displayName === name || displayName === '' ? name : `${displayName} (${name})`);

/** Somebody, and on whose behalf: where a workload acts for a person, both are named everywhere. */
export const actor = (principal: Named, onBehalfOf: Named | null): string => (onBehalfOf ? `${named(principal)} on behalf of ${named(onBehalfOf)}` : named(principal));

/** One line: `2 of security, then 1 of dba`. */
export function whoDecides(stages: readonly Stage[]): string {
  return stages.length === 0 ? 'policy alone' : stages.map((stage) => `${stage.required} of ${stage.groups.join(' or ') || stage.name}`).join(', then ');
}

export function stageLines(stages: readonly Stage[]): string[] {
  return stages.map((stage, i) => {
    const people = stage.reviewers.length === 0 ? 'nobody could decide now' : `may decide: ${stage.reviewers.join(', ')}`;
    const done = stage.approved >= stage.required ? '✓' : '◌';
    return `${done} ${i + 1}. ${stage.name}: ${stage.approved} of ${stage.required} from ${stage.groups.join(' or ')}; ${people}`;
  });
}

export function renderPreview(run: Run, preview: Preview): string {
  const outcomes = { approved_by_policy: 'policy approves it at once', needs_review: 'people decide', refused: 'policy refuses it' };
  return [
    `${run.paint('bold', escape(preview.entitlement.title))} (${escape(preview.entitlement.name)}), for ${duration(preview.durationSeconds)}`,
    facts([
      ['reach', preview.reach],
      ['outcome', { tone: preview.outcome === 'refused' ? 'bad' : 'bold', text: outcomes[preview.outcome] }],
      ['decided by', preview.outcome === 'needs_review' ? stageLines(preview.stages) : null],
      ['policy', preview.explanation],
    ], run.paint, run.columns),
  ].join('\n');
}

export function renderRequest(run: Run, request: AccessRequest): string {
  const { paint, times } = run;
  const mark = requestMark(request.state);
  const warning = misleads(request.reason) || misleads(request.ticket ?? '') || request.reasonEscaped !== null
    ? `\n  ${paint('bad', '▲ the reason or ticket holds characters that can mislead; they are shown escaped')}`
    : '';
  return [
    `${escape(request.id)}  ${paint(mark.tone, mark.text)}${warning}`,
    facts([
      ['who', actor(request.principal, request.onBehalfOf)],
      ['what', `${request.entitlement.title} (${request.entitlement.name}, revision ${request.entitlement.revision})`],
      ['extends', request.extendsGrant],
      ['on', request.targets.map((target) => `${target.name} (${target.type})`).join(', ')],
      ['reach', request.reach],
      ['how long', `${duration(request.durationSeconds)}${request.extendsGrant ? ' more' : request.startAt ? `, from ${times.both(request.startAt)}` : ', from its activation'}`],
      ['why', request.reason],
      ['ticket', request.ticket],
      ['stages', stageLines(request.stages)],
      ['reviews', request.reviews.map((review) => `${named(review.reviewer)}: ${review.decision}, ${times.both(review.at)}${review.reason ? `: ${review.reason}` : ''}${review.durationSeconds ? ` (shortened to ${duration(review.durationSeconds)})` : ''}${review.narrowedScopes ? ` (narrowed to ${JSON.stringify(review.narrowedScopes)})` : ''}`)],
      ['policy', request.explanation],
      ['decision', request.decisionReason],
      ['hash', request.erasedAt ? `${request.hash}, of what was asked: reason and ticket were erased ${times.both(request.erasedAt)}` : request.hash],
      ['asked', times.both(request.createdAt)],
      [request.state === 'pending' ? 'expires' : 'decided', request.state === 'pending' ? times.both(request.expiresAt) : request.decidedAt ? times.both(request.decidedAt) : null],
      ['grant', request.grant],
    ], paint, run.columns),
  ].join('\n');
}
