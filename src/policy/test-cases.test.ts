import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { policySet } from '#test/worlds/policy-world.ts';
import { createPolicyEngine } from './cedar-engine.ts';
import { runPolicyTests } from './test-cases.ts';

const engine = createPolicyEngine();
const set = policySet(`@id("read") @reason("developers read") permit(principal in Group::"developers", action == Action::"request", resource)
  when { context.durationSeconds <= 3600 };`);
const run = (text: string) => runPolicyTests(engine, set, [{ file: 'x.test.yaml', text }]);
const HEAD = 'principals:\n  ada: { groups: [developers] }\nentitlements:\n  orders-read: {}\ncases:\n';
const testCase = (rest: string) => `  - { name: one, principal: ada, action: request, entitlement: orders-read, ${rest} }\n`;

describe('policy tests', () => {
  it('pass when verdict and deciding policies are as expected', () => {
    const text = HEAD + testCase('context: { duration: 1h }, expect: allow, by: [read]') + testCase('context: { duration: 61m }, expect: deny');
    assert.deepEqual([run(text).passed, run(text).failed], [2, 0]);
  });

  it('fail with place and explained verdict', () => {
    const { cases, failed } = run(`${HEAD}${testCase('context: { duration: 1h }, expect: allow')}${testCase('context: { duration: 2h }, expect: allow')}`);
    assert.equal(failed, 1);
    assert.deepEqual(cases[1], {
      name: 'one', file: 'x.test.yaml', line: 7, passed: false,
      explanation: ['expected allow, got deny', '✕ read (developers read) would permit it, but:', '    context.durationSeconds <= 3600 (durationSeconds is 7200)'],
    });
  });

  it('fail when another policy decided than the one named', () => {
    const { cases } = run(HEAD + testCase('context: { duration: 1h }, expect: allow, by: [other]'));
    assert.match(cases[0]?.explanation[0] ?? '', /decided by other; it was read/);
  });

  const broken: readonly [string, string, number, RegExp][] = [
    ['YAML', 'cases: [', 1, /^x\.test\.yaml:1:9: error test_invalid: Flow sequence [^\n]* end with a \]$/m],
    ['an unknown field', `${HEAD}${testCase('expects: allow')}`, 6, /expect/],
    ['an unknown principal', `${HEAD}${testCase('expect: allow').replace('principal: ada', 'principal: adda')}`, 6, /no principal "adda"\. Did you mean "ada"/],
    ['a prototype name', `${HEAD}${testCase('expect: allow').replace('principal: ada', 'principal: constructor')}`, 6, /no principal "constructor"/],
    ['a duration', `${HEAD}${testCase('context: { duration: soon }, expect: allow')}`, 6, /not a duration/],
    ['a duplicate key', `${HEAD}cases: []\n`, 5, /unique/i],
    ['no case', 'cases: []', 1, /cases/],
    ['H03 an alias bomb', `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\ncases: [*c,*c,*c,*c,*c,*c,*c,*c]`, 1, /alias/i],
    ['H03 length', `cases: [] # ${'x'.repeat(200_000)}`, 1, /longer than/],
    ['H03 depth', `cases: ${'['.repeat(20_000)}`, 1, /./],
  ];
  for (const [what, text, line, message] of broken) {
    it(`a file with wrong ${what} is a failed case with its line`, () => {
      const { passed, failed, cases } = run(text);
      assert.equal(passed, 0);
      assert.ok(failed >= 1);
      assert.equal(cases[0]?.line, line);
      assert.match(cases.map(({ explanation }) => explanation.join()).join('\n'), message);
    });
  }
});
