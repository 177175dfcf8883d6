import type { PolicyEngine, PolicyMatch, PolicyQuestion, PolicySet, PolicySource, Verdict } from '#app/ports/policy.ts';
import { CedarCrash } from './cedar.ts';
import type { CompiledSet } from './compiled-set.ts';
import { ask, compile } from './compiled-set.ts';
import { nearestPermits } from './explain.ts';
import type { CedarQuestion } from './question.ts';
import { toCedar } from './question.ts';
import { validatePolicies } from './validate.ts';

/** In `failed`, stands for the question itself where a policy id would be. No policy can be called this. */
export const QUESTION = '(question)';
/** In `failed`, stands for the policy set as a whole. */
export const POLICIES = '(policies)';

/**
 * The policy engine: Cedar 4 in WebAssembly. Making one costs nothing; the first question loads and parses.
 *
 * It fails closed. Cedar by itself skips a policy that errs, so that an erring forbid would forbid nothing: here it denies. So
 * does a question that does not fit the schema, a set with any unreadable policy, and a set that overflows the engine.
 */
export function createPolicyEngine(): PolicyEngine {
  const compiled = new WeakMap<PolicySet, CompiledSet>();
  // Sets come from the store as new objects each time; the last few are kept by version and checked by their text.
  const recent: { readonly set: PolicySet; readonly as: CompiledSet }[] = [];

  function compiledOf(set: PolicySet): CompiledSet {
    const known = compiled.get(set) ?? recent.find((other) => sameSet(other.set, set))?.as;
    const as = known ?? compile(set);
    compiled.set(set, as);
    if (!known && recent.unshift({ set, as }) > 8) recent.pop();
    return as;
  }

  return {
    validate: (sources: readonly PolicySource[]) => validatePolicies(sources),
    decide: (set, question) => decide(compiledOf(set), set.version, question),
  };
}

function sameSet(a: PolicySet, b: PolicySet): boolean {
  if (a.version !== b.version || a.sources.length !== b.sources.length) return false;
  return a.sources.every(({ file, text }, i) => b.sources[i]?.file === file && b.sources[i]?.text === text);
}

function decide(set: CompiledSet, version: number, question: PolicyQuestion): Verdict {
  if (set.broken !== null) return refused(version, POLICIES, set.broken);
  try {
    // One answer for each target; the first that says no decides, since access to all of them was asked for.
    const answers = toCedar(question).map((asked) => decideOne(set, version, question, asked));
    const no = answers.find(({ allowed }) => !allowed);
    return no ?? merge(answers) ?? refused(version, QUESTION, 'there is nothing to decide');
  } catch (error) {
    if (error instanceof CedarCrash) return refused(version, POLICIES, error.message);
    if (error instanceof RangeError) return refused(version, QUESTION, error.message);
    throw error;
  }
}

function decideOne(set: CompiledSet, version: number, question: PolicyQuestion, asked: CedarQuestion): Verdict {
  const answer = ask(set, asked);
  if (answer.type === 'failure') {
    return refused(version, QUESTION, (answer.errors[0]?.message ?? 'the question does not fit the schema').slice(0, 300));
  }
  const { decision, diagnostics } = answer.response;
  const failed = diagnostics.errors.map(({ policyId, error }) => ({ id: policyId, message: error.message.slice(0, 300) }));
  const deciding = diagnostics.reason.map((id) => match(set, id)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const satisfied = deciding.filter(({ effect }) => effect === 'permit');
  const forbidden = deciding.filter(({ effect }) => effect === 'forbid');
  const allowed = decision === 'allow' && failed.length === 0;
  const explain = !allowed && forbidden.length === 0 && satisfied.length === 0;
  return { allowed, policyVersion: version, satisfied, forbidden, nearest: explain ? nearestPermits(set, question, asked) : [], failed };
}

function match(set: CompiledSet, id: string): PolicyMatch {
  const policy = set.policies.get(id);
  // An id that was not handed in can't come back. Were it to, it must not pass for a permit.
  return { id, effect: policy?.json.effect ?? 'forbid', reason: policy?.reason ?? null };
}

function merge(answers: readonly Verdict[]): Verdict | null {
  const [first] = answers;
  if (!first) return null;
  const satisfied = new Map(answers.flatMap((answer) => answer.satisfied).map((found) => [found.id, found]));
  return { ...first, satisfied: [...satisfied.values()] };
}

function refused(version: number, id: string, message: string): Verdict {
  return { allowed: false, policyVersion: version, satisfied: [], forbidden: [], nearest: [], failed: [{ id, message }] };
}
