import type { NearMiss, PolicyQuestion } from '#app/ports/policy.ts';
import type { CompiledSet, TakenApart } from './compiled-set.ts';
import { askParts } from './compiled-set.ts';
import { factsRead, isSeparable, partText, quoted } from './policy-tree.ts';
import type { CedarQuestion } from './question.ts';
import { plainFacts } from './question.ts';

/** As many near misses as help a person; the rest is noise. */
const MOST = 3;

interface Miss {
  readonly permit: TakenApart;
  readonly principal: boolean;
  readonly resource: boolean;
  readonly conditions: readonly number[];
}

/**
 * The permits that came closest to allowing the question, nearest first, each with the parts that did not hold. Every part is
 * judged by Cedar, alone. Permits for other resources are named only when none is for this one.
 */
export function nearestPermits(set: CompiledSet, question: PolicyQuestion, asked: CedarQuestion): NearMiss[] {
  const { permits, holds, errs } = askParts(set, asked);
  const misses = permits.map((permit, i): Miss => {
    const failing = permit.conditions.flatMap((condition, c) => (isSeparable(condition) && !holds.has(`${i}:${c}`) ? [c] : []));
    const principal = !holds.has(`${i}:principal`);
    const resource = !holds.has(`${i}:resource`);
    // What is too long to be judged alone must be what failed when everything else holds.
    const rest = permit.conditions.findIndex((condition) => !isSeparable(condition));
    if (!principal && !resource && failing.length === 0 && rest >= 0) failing.push(rest);
    // A condition that errs behind one that does not hold is its consequence: `context has ticket && context.ticket like ...`.
    return { permit, principal, resource, conditions: failing.filter((c, at) => at === 0 || !errs.has(`${i}:${c}`)) };
  });
  const onThis = misses.filter(({ resource }) => !resource);
  return (onThis.length > 0 ? onThis : misses)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, MOST)
    .map((miss) => ({ id: miss.permit.policy.id, reason: miss.permit.policy.reason, unsatisfied: unsatisfied(miss, question) }));
}

function distance({ principal, resource, conditions }: Miss): number {
  return (resource ? 1000 : 0) + (principal ? 100 : 0) + conditions.length;
}

function unsatisfied(miss: Miss, question: PolicyQuestion): string[] {
  const { json } = miss.permit.policy;
  const lines: string[] = [];
  if (miss.principal) lines.push(`${partText({ principal: json.principal })} (${whoIs(question, json.principal)})`);
  if (miss.resource) lines.push(`${partText({ resource: json.resource })} (${whatIs(question)})`);
  const facts = plainFacts(question);
  for (const index of miss.conditions) {
    const condition = miss.permit.conditions[index];
    if (!condition) continue;
    if (!isSeparable(condition)) {
      lines.push('a condition that is too long to show');
      continue;
    }
    const read = factsRead(condition.body).map((path) => factText(path, facts, question));
    const text = partText({ conditions: [condition] });
    lines.push(read.length > 0 ? `${text} (${read.join(', ')})` : text);
  }
  return lines;
}

function whoIs({ principal }: PolicyQuestion, scope?: { readonly op: string }): string {
  const name = `${principal.kind} ${principal.name}`;
  if (scope?.op === '==') return `this is the ${name}`;
  if (scope?.op === 'is' && !('in' in scope)) return `${principal.name} is a ${principal.kind}`;
  const groups = principal.groups.length > 0 ? principal.groups.join(', ') : 'no group';
  return scope?.op === 'is' ? `the ${name} is in ${groups}` : `${principal.name} is in ${groups}`;
}

function whatIs({ resource }: PolicyQuestion): string {
  if (resource === null) return 'this is about Brevet itself';
  const targets = resource.targets.map(({ name, folder }) => (folder === null ? name : `${name} in folder ${folder}`));
  const where = targets.length > 0 ? ` on ${targets.join(', ')}` : '';
  return `this is ${resource.name}${resource.folder === null ? '' : ` in folder ${resource.folder}`}${where}`;
}

function factText(path: readonly string[], facts: Readonly<Record<string, unknown>>, question: PolicyQuestion): string {
  if (path.length === 1) return path[0] === 'principal' ? whoIs(question) : path[0] === 'resource' ? whatIs(question) : path[0] ?? '';
  let value: unknown = facts;
  for (const [at, key] of path.entries()) {
    value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    // Name the outermost fact that is missing: without authentication there is no age of it.
    if (value === undefined) return `${path.slice(1, at + 1).join('.') || path.join('.')} is not known`;
  }
  return `${path.slice(1).join('.')} is ${valueText(value)}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return 'known';
  return String(value);
}
