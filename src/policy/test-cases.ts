import type { PolicyEngine, PolicySet, PolicySource, Verdict } from '#app/ports/policy.ts';
import type { Catalogue } from './catalogue.ts';
import { renderFinding, renderVerdict } from './render-verdict.ts';
import type { TestCase } from './test-file.ts';
import { readTestFile } from './test-file.ts';

export interface TestResult {
  readonly name: string;
  readonly file: string;
  readonly line: number | null;
  readonly passed: boolean;
  /** Why it failed, in plain lines; empty for one that passed. */
  readonly explanation: readonly string[];
}

export interface TestResults {
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly TestResult[];
}

/**
 * `brevet policy test`: judges the cases of YAML test files by a set of policies. A file that can't be read counts as one
 * failed case for each thing that is wrong with it.
 */
export function runPolicyTests(
  engine: PolicyEngine,
  set: PolicySet,
  tests: readonly PolicySource[],
  catalogue: Catalogue | null = null,
): TestResults {
  const cases = tests.flatMap(({ file, text }) => {
    const read = readTestFile(file, text, catalogue);
    const broken = read.findings.map((found) => ({ name: 'readable', file, line: found.line, passed: false, explanation: [renderFinding(found)] }));
    return [...broken, ...read.cases.map((one) => runCase(engine, set, one))];
  });
  const passed = cases.filter((one) => one.passed).length;
  return { passed, failed: cases.length - passed, cases };
}

function runCase(engine: PolicyEngine, set: PolicySet, { name, file, line, question, expect, by }: TestCase): TestResult {
  const verdict = engine.decide(set, question);
  const explanation: string[] = [];
  const got = verdict.allowed ? 'allow' : 'deny';
  if (got !== expect) explanation.push(`expected ${expect}, got ${got}`);
  const deciding = decidedBy(verdict);
  const silent = by.filter((id) => !deciding.includes(id));
  if (silent.length > 0) explanation.push(`expected it to be decided by ${silent.join(', ')}; it was ${deciding.join(', ') || 'no policy'}`);
  if (explanation.length > 0) explanation.push(...renderVerdict(verdict));
  return { name, file, line, passed: explanation.length === 0, explanation };
}

/** For a yes the permits; for a no the forbids and what failed, else the permits that came near. */
function decidedBy({ allowed, satisfied, forbidden, failed, nearest }: Verdict): string[] {
  if (allowed) return satisfied.map(({ id }) => id);
  const decisive = [...forbidden, ...failed].map(({ id }) => id);
  return decisive.length > 0 ? decisive : nearest.map(({ id }) => id);
}
