import type { PolicyAction, PolicyContext, PolicyEngine, PolicyPrincipal, PolicyQuestion, PolicyResource, PolicySet, Verdict } from '#app/ports/policy.ts';
import type { Catalogue } from './catalogue.ts';

/** A different input. In `context`, `null` takes a fact away; what is not named stays as it was. */
export interface Change {
  readonly label: string;
  readonly principal?: Partial<PolicyPrincipal>;
  readonly resource?: Partial<PolicyResource>;
  readonly context?: { readonly [K in keyof PolicyContext]?: PolicyContext[K] | null };
}

export interface Flip {
  readonly label: string;
  readonly verdict: Verdict;
  /** Whether the change turned the verdict around. */
  readonly flipped: boolean;
}

export function change(question: PolicyQuestion, by: Change): PolicyQuestion {
  const context: Record<string, unknown> = { ...question.context };
  for (const [fact, value] of Object.entries(by.context ?? {})) {
    if (value === null) delete context[fact];
    else if (value !== undefined) context[fact] = value;
  }
  return {
    ...question,
    principal: { ...question.principal, ...by.principal },
    resource: question.resource && { ...question.resource, ...by.resource },
    context: context as unknown as PolicyContext,
  };
}

/** Judges a question, and again with each of the changes alone. Uses the very engine that enforces. */
export function whatIf(
  engine: PolicyEngine,
  set: PolicySet,
  question: PolicyQuestion,
  changes: readonly Change[],
): { readonly verdict: Verdict; readonly flips: readonly Flip[] } {
  const verdict = engine.decide(set, question);
  const flips = changes.map((by) => {
    const other = engine.decide(set, change(question, by));
    return { label: by.label, verdict: other, flipped: other.allowed !== verdict.allowed };
  });
  return { verdict, flips };
}

/** The changes that take one input away: each optional fact, each group. They show what a verdict rests on. */
export function removals({ principal, context }: PolicyQuestion): readonly Change[] {
  const facts = Object.keys(context).filter((fact) => fact !== 'now' && fact !== 'durationSeconds') as (keyof PolicyContext)[];
  return [
    ...facts.map((fact) => ({ label: `without ${fact}`, context: { [fact]: null } })),
    ...principal.groups.map((group) => ({
      label: `not in group ${group}`,
      principal: { groups: principal.groups.filter((other) => other !== group) },
    })),
  ];
}

/** Asks for everybody in the catalogue whether they could do this, on these facts of the moment. */
export function whoCould(
  engine: PolicyEngine,
  set: PolicySet,
  catalogue: Catalogue,
  asked: { readonly action: PolicyAction; readonly resource: PolicyResource | null; readonly context: PolicyContext },
): readonly { readonly principal: PolicyPrincipal; readonly verdict: Verdict }[] {
  return catalogue.principals.map((principal) => ({ principal, verdict: engine.decide(set, { ...asked, principal }) }));
}

/** A question that was judged before, with whatever names it (a request's id) and the verdict it got. */
export interface StoredQuestion {
  readonly ref: string;
  readonly question: PolicyQuestion;
  readonly allowed: boolean;
}

export interface Difference {
  readonly ref: string;
  readonly question: PolicyQuestion;
  readonly was: boolean;
  readonly now: Verdict;
}

/** Judges stored questions by another set of policies and returns those that would now be answered differently, in their order. */
export function replay(engine: PolicyEngine, set: PolicySet, stored: readonly StoredQuestion[]): readonly Difference[] {
  return stored.flatMap(({ ref, question, allowed }) => {
    const now = engine.decide(set, question);
    return now.allowed === allowed ? [] : [{ ref, question, was: allowed, now }];
  });
}
