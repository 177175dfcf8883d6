import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Verdict } from '#app/ports/policy.ts';
import { renderFinding, renderVerdict } from './render-verdict.ts';

const verdict = (change: Partial<Verdict>): Verdict => ({ allowed: false, policyVersion: 1, satisfied: [], forbidden: [], nearest: [], failed: [], ...change });
const permit = { id: 'read', effect: 'permit', reason: 'may read' } as const;

it('a verdict in plain lines', () => {
  assert.deepEqual(renderVerdict(verdict({ allowed: true, satisfied: [permit] })), ['✓ read (may read)']);
  assert.deepEqual(renderVerdict(verdict({})), ['✕ no policy permits this']);
  assert.deepEqual(renderVerdict(verdict({ forbidden: [{ id: 'freeze', effect: 'forbid', reason: null }] })), ['✕ freeze forbids it']);
  assert.deepEqual(renderVerdict(verdict({ satisfied: [permit], failed: [{ id: 'x', message: 'overflow' }] })), ['! x could not be judged: overflow']);
  const nearest = [{ id: 'read', reason: null, unsatisfied: ['context has ticket (ticket is not known)'] }];
  assert.deepEqual(renderVerdict(verdict({ nearest })), ['✕ read would permit it, but:', '    context has ticket (ticket is not known)']);
});

it('D05 control and bidirectional characters in a reason do not reach the terminal', () => {
  const [line] = renderVerdict(verdict({ allowed: true, satisfied: [{ ...permit, reason: 'a\u001b[2J\u202eb\nc' }] }));
  assert.equal(line, '✓ read (a\\u{1b}[2J\\u{202e}b c)');
});

it('a finding with its place', () => {
  const finding = { severity: 'error', code: 'policy_syntax', message: 'unexpected', file: 'a.cedar', line: 2, column: 5, policy: 'read' } as const;
  assert.equal(renderFinding(finding), 'a.cedar:2:5: error policy_syntax: unexpected [read]');
  assert.equal(renderFinding({ ...finding, file: null, line: null, column: null, policy: null }), 'error policy_syntax: unexpected');
});
