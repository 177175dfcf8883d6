import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ada, entitlement, ines, kim, policySet, question, reportBot, sam } from '#test/worlds/policy-world.ts';
import { createPolicyEngine } from './cedar-engine.ts';
import { removals, replay, whatIf, whoCould } from './simulate.ts';

const engine = createPolicyEngine();
const set = policySet(`@id("read") permit(principal in Group::"developers", action == Action::"request", resource)
  when { context.durationSeconds <= 3600 && context has ticket };`);

describe('the simulator', () => {
  it('D3 shows which single input flips the verdict', () => {
    const asked = question({ context: { clientIp: '10.0.0.1' } });
    const { verdict, flips } = whatIf(engine, set, asked, [
      ...removals(asked),
      { label: 'two hours', context: { durationSeconds: 7200 } },
      { label: 'orders-write', resource: { name: 'orders-write' } },
      { label: 'as dba', principal: { groups: ['dba'] } },
    ]);
    assert.equal(verdict.allowed, true);
    assert.deepEqual(flips.filter(({ flipped }) => flipped).map(({ label }) => label), ['without ticket', 'not in group developers', 'two hours', 'as dba']);
    assert.deepEqual(flips.filter(({ flipped }) => !flipped).map(({ label }) => label), ['without clientIp', 'orders-write']);
  });

  it('answers who could', () => {
    const catalogue = { groups: [], folders: [], targets: [], entitlements: [], principals: [ada, kim, ines, sam, reportBot] };
    const { context } = question();
    const answer = whoCould(engine, set, catalogue, { action: 'request', resource: entitlement('orders-read'), context });
    assert.deepEqual(answer.filter(({ verdict }) => verdict.allowed).map(({ principal }) => principal.name), ['ada', 'kim']);
  });

  it('D8 replays history by another set and lists what differs', () => {
    const stored = [ada, ines].map((principal) => {
      const asked = question({ principal });
      return { ref: principal.name, question: asked, allowed: engine.decide(set, asked).allowed };
    });
    assert.deepEqual(replay(engine, set, stored), []);
    const draft = policySet('@id("dba") permit(principal in Group::"dba", action, resource);', 2);
    const differences = replay(engine, draft, stored);
    assert.deepEqual(differences.map(({ ref, was, now }) => [ref, was, now.allowed]), [['ada', true, false], ['ines', false, true]]);
  });
});
