import type { PolicyFinding, PolicyMatch, Verdict } from '#app/ports/policy.ts';

/**
 * A verdict as plain lines for people: `✓` held, `✕` refused, `!` could not be judged. No colours and no control characters;
 * values that came from outside were escaped where the verdict was made.
 */
export function renderVerdict(verdict: Verdict): readonly string[] {
  const { allowed, satisfied, forbidden, nearest, failed } = verdict;
  const lines = [
    ...failed.map(({ id, message }) => `! ${id} could not be judged: ${oneLine(message)}`),
    ...forbidden.map((match) => `✕ ${name(match)} forbids it`),
  ];
  if (allowed) return satisfied.map((match) => `✓ ${name(match)}`);
  if (lines.length > 0) return lines;
  if (nearest.length === 0) return ['✕ no policy permits this'];
  return nearest.flatMap((miss) => [`✕ ${name(miss)} would permit it, but:`, ...miss.unsatisfied.map((part) => `    ${part}`)]);
}

/** `file:line:column: error policy_syntax: message`, the form that editors and pipelines can follow. */
export function renderFinding({ file, line, column, severity, code, message, policy }: PolicyFinding): string {
  const place = [file, line, column].filter((part) => part !== null).join(':');
  const about = policy === null || policy.startsWith(`${file}:`) ? '' : ` [${policy}]`;
  return `${place === '' ? '' : `${place}: `}${severity} ${code}: ${oneLine(message)}${about}`;
}

function name({ id, reason }: Pick<PolicyMatch, 'id' | 'reason'>): string {
  return reason === null ? id : `${id} (${oneLine(reason)})`;
}

/** Policy text is written by few and read by many: nothing of it may move a cursor or turn a line around. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => (char === '\n' ? ' ' : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`));
}
