import assert from 'node:assert/strict';
import { test } from 'node:test';
import { presentEvidence, presentProblem } from './part-problem.ts';

const SAID = 'target_refused: the target refused: permission denied for schema payroll';
const part = (lastError: string | null, work: 'provision' | null = 'provision') => ({ grant: 'grt_x' as const, lastError, work });

test('an administrator reads what the target said, everybody else the code and words of ours', () => {
  assert.equal(presentProblem(part(null), true), null);
  assert.equal(presentProblem(part(SAID), true)?.lastError, SAID);
  assert.match(presentProblem(part(SAID), true)?.nextStep ?? '', /brevet doctor: .* SQL/);
  const plain = presentProblem(part(SAID), false);
  assert.deepEqual(plain, { lastError: 'target_refused: the target answers, and refuses what this access needs', nextStep: 'Tell an administrator of Brevet: brevet show grt_x tells them what the target said.' });
  for (const odd of ['no code at all: payroll', 'Target_Refused: payroll', 'strange_code: payroll', '']) assert.doesNotMatch(JSON.stringify(presentProblem(part(odd), false)), /payroll/, odd);
  assert.match(presentProblem(part('target_unreachable: no'), true)?.nextStep ?? '', /tried again by itself/);
  assert.doesNotMatch(presentProblem(part('target_unreachable: no', null), true)?.nextStep ?? '', /tried again/, 'what is over is not');
});

test('evidence that quotes the target is for administrators as well', () => {
  const evidence = { found: true, problems: ['permission denied for schema payroll'], problem: 'payroll', settingsLeft: ['payroll'] };
  assert.deepEqual(presentEvidence({ evidence }, true), evidence);
  assert.deepEqual(presentEvidence({ evidence }, false), { found: true });
  assert.equal(presentEvidence({ evidence: null }, false), null);
});
