import type { Clause, Expr, PolicyJson } from './cedar.ts';
import { withCedar } from './cedar.ts';

/** What Cedar's JSON form of a policy says, taken apart. Nothing here evaluates: that is left to Cedar. */

export interface EntityName {
  readonly type: string;
  readonly id: string;
}

/** One condition that must hold by itself: a conjunct of a `when`, or a disjunct of an `unless`. */
export interface Condition {
  readonly kind: 'when' | 'unless';
  readonly body: Expr;
}

type Tree = Readonly<Record<string, unknown>>;

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null;
}

/** Splits `when { a && b }` and `unless { c || d }` into the conditions a, b, c, d, in their order. */
export function conditions(policy: PolicyJson): Condition[] {
  return policy.conditions.flatMap(({ kind, body }: Clause) =>
    flatten(body, kind === 'when' ? '&&' : '||').map((part) => ({ kind, body: part })),
  );
}

function flatten(body: Expr, operator: '&&' | '||'): Expr[] {
  const both = (body as Tree)[operator];
  if (!isTree(both)) return [body];
  return [...flatten(both['left'] as Expr, operator), ...flatten(both['right'] as Expr, operator)];
}

/** Every entity that a policy names, in scope and conditions, actions included. */
export function entityNames(tree: unknown): EntityName[] {
  if (!isTree(tree)) return [];
  const { type, id } = tree;
  if (typeof type === 'string' && typeof id === 'string') return [{ type, id }];
  return Object.values(tree).flatMap(entityNames);
}

/** The facts that an expression reads, as paths from a variable: `['context', 'authentication', 'ageSeconds']`. */
export function factsRead(tree: unknown): string[][] {
  const seen = new Map<string, string[]>();
  for (const path of walkFacts(tree)) seen.set(path.join('.'), path);
  return [...seen.values()];
}

function walkFacts(tree: unknown): string[][] {
  if (!isTree(tree)) return [];
  const path = pathOf(tree);
  return path ? [path] : Object.values(tree).flatMap(walkFacts);
}

function pathOf(tree: unknown): string[] | null {
  if (!isTree(tree)) return null;
  if (typeof tree['Var'] === 'string') return [tree['Var']];
  const step = tree['.'] ?? tree['has'];
  if (!isTree(step)) return null;
  const left = pathOf(step['left']);
  const attr = step['attr'];
  const rest = Array.isArray(attr) ? attr.filter((name) => typeof name === 'string') : [attr];
  return left ? [...left, ...rest.map(String)] : null;
}

/** The texts that a fact is compared with by `==` and `!=`, or looked for in a set. */
export function comparedWith(tree: unknown, fact: string): string[] {
  if (!isTree(tree)) return [];
  const own = [tree['=='], tree['!='], tree['contains']].flatMap((sides) => {
    const both = isTree(sides) ? [sides['left'], sides['right']] : [];
    return both.some((side) => pathOf(side)?.join('.') === fact) ? both.flatMap(texts) : [];
  });
  return [...own, ...Object.values(tree).flatMap((child) => comparedWith(child, fact))];
}

function texts(tree: unknown): string[] {
  if (!isTree(tree)) return [];
  if (typeof tree['Value'] === 'string') return [tree['Value']];
  return Array.isArray(tree['Set']) ? tree['Set'].flatMap(texts) : [];
}

/** Which actions a policy is about; `null` for all of them. */
export function actionsOf(policy: PolicyJson): string[] | null {
  return policy.action.op === 'All' ? null : entityNames(policy.action).map(({ id }) => id);
}

const ALL = { op: 'All' } as const;

/** A permit with one part of another policy, and nothing else: how a part is tested by itself. */
export function onlyPart(part: Partial<Pick<PolicyJson, 'principal' | 'resource' | 'conditions'>>): PolicyJson {
  return { effect: 'permit', principal: ALL, action: ALL, resource: ALL, conditions: [], ...part };
}

/** Cedar reads JSON no deeper than 128 levels, its own output included; a chain of 60 operators is deeper. Leaves room for the frame. */
const JSON_DEPTH = 100;

/** Whether a condition can be handed back to Cedar by itself, to be judged or printed. */
export function isSeparable({ body }: Condition): boolean {
  return depthWithin(body, JSON_DEPTH);
}

function depthWithin(tree: unknown, levels: number): boolean {
  if (!isTree(tree)) return true;
  return levels > 0 && Object.values(tree).every((child) => depthWithin(child, levels - 1));
}

/** Cedar's own text of a condition (`context.durationSeconds <= 3600`) or a part of the scope (`principal in Group::"dba"`). */
export function partText(part: Parameters<typeof onlyPart>[0]): string {
  const answer = withCedar((cedar) => cedar.policyToText(onlyPart(part)));
  if (answer.type === 'failure') return '(unprintable)';
  const text = answer.text.trim();
  if (part.principal) return text.replace(/^permit\(/, '').replace(/, action, resource\);$/, '');
  if (part.resource) return text.replace(/^permit\(principal, action, /, '').replace(/\);$/, '');
  const body = text.replace(/^permit\(principal, action, resource\) (when|unless) \{ /, '').replace(/ \};$/, '');
  return part.conditions?.[0]?.kind === 'unless' ? `unless { ${body} }` : body;
}

/** A string as Cedar writes it, cut at 80 characters; whatever is not printable ASCII shows as `\u{...}` and can do no harm. */
export function quoted(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 80)}...` : text;
  const safe = cut.replace(/["\\]/g, '\\$&').replace(/[^\x20-\x7e]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
  return `"${safe}"`;
}
