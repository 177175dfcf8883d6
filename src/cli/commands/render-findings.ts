import type { Answer } from '#contract/routes.ts';
import { escape } from '../output/escape.ts';
import type { Run } from '../session/run.ts';

type Finding = Answer<'lintPolicies'>['findings'][number];

/** `file:line:column`, as editors and terminals make it a link. */
function place({ file, line, column, policy }: Finding): string {
  const at = [file, line, column].filter((each) => each !== null).join(':');
  return [at, policy === null ? '' : `policy ${policy}`].filter((each) => each !== '').join(', ');
}

export function renderFindings({ paint }: Run, findings: readonly Finding[]): string {
  return findings
    .map((finding) => {
      const mark = finding.severity === 'error' ? paint('bad', '▲ error  ') : paint('live', '△ warning');
      const at = place(finding);
      return `${mark}  ${at === '' ? '' : `${paint('bold', escape(at))}  `}${escape(finding.message)} ${paint('dim', escape(finding.code))}`;
    })
    .join('\n');
}

export const hasErrors = (findings: readonly Finding[]): boolean => findings.some((each) => each.severity === 'error');
