import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { PolicySource } from '#app/ports/policy.ts';
import { createPolicyEngine } from '#policy/cedar-engine.ts';
import { lintPolicies } from '#policy/lint.ts';
import { renderFinding } from '#policy/render-verdict.ts';
import { runPolicyTests } from '#policy/test-cases.ts';

const engine = createPolicyEngine();
const read = (end: string): PolicySource[] =>
  readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith(end))
    .sort()
    .map((file) => ({ file, text: readFileSync(new URL(file, import.meta.url), 'utf8') }));
const sources = read('.cedar');

describe('the policies of the demonstration world', () => {
  it('are valid and clean', () => {
    assert.deepEqual([...engine.validate(sources), ...lintPolicies(sources)].map(renderFinding), []);
  });

  it('answer what their tests say', () => {
    const { cases, passed } = runPolicyTests(engine, { version: 1, sources }, read('.test.yaml'));
    assert.deepEqual(cases.filter((one) => !one.passed), []);
    assert.ok(passed >= 20);
  });
});
