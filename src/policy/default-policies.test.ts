import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ada, kim, question, reportBot, sam } from '#test/worlds/policy-world.ts';
import { createPolicyEngine } from './cedar-engine.ts';
import { defaultPolicies } from './default-policies.ts';
import { lintPolicies } from './lint.ts';

const engine = createPolicyEngine();
const sources = defaultPolicies();
const decide = (asked: Parameters<typeof question>[0]) => engine.decide({ version: 1, sources }, question(asked));

describe('the policies of a fresh installation', () => {
  it('are valid and clean', () => {
    assert.deepEqual([...engine.validate(sources), ...lintPolicies(sources)], []);
  });

  it('approve nothing by themselves, and let nobody break the glass', () => {
    for (const principal of [ada, kim, sam]) {
      assert.equal(decide({ principal, action: 'autoApprove' }).allowed, false);
      assert.equal(decide({ principal, action: 'breakGlass' }).allowed, false);
    }
  });

  it('let everybody ask, for eight hours at most', () => {
    assert.equal(decide({ principal: reportBot }).allowed, true);
    assert.equal(decide({ context: { durationSeconds: 28_801 } }).allowed, false);
  });

  it('A01 let nobody decide on a request of their own, administrators included', () => {
    for (const principal of [kim, sam]) {
      const verdict = decide({ principal, action: 'review', context: { requester: principal.name } });
      assert.deepEqual(verdict.forbidden.map(({ id }) => id), ['no-self-review']);
      assert.equal(decide({ principal, action: 'review', context: { requester: 'ada' } }).allowed, true);
    }
  });

  it('let administrators alone administer', () => {
    assert.equal(decide({ principal: sam, action: 'administer', resource: null }).allowed, true);
    assert.equal(decide({ principal: kim, action: 'administer', resource: null }).allowed, false);
    assert.equal(decide({ principal: { ...reportBot, administrator: true }, action: 'administer', resource: null }).allowed, false);
  });
});
