import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { PolicyQuestion } from '#app/ports/policy.ts';
import { ada, entitlement, ines, kim, policySet, question, reportBot, sam } from '#test/worlds/policy-world.ts';
import { createPolicyEngine, POLICIES, QUESTION } from './cedar-engine.ts';

const engine = createPolicyEngine();
const READ = `
@id("developers-read") @reason("developers may read orders")
permit(principal in Group::"developers", action == Action::"request", resource == Entitlement::"orders-read")
when { context.durationSeconds <= 3600 && context has ticket && context.ticket like "SHOP-*" }
unless { context.weekdayUtc > 5 };`;
const FORBID = '@id("freeze") @reason("change freeze") forbid(principal, action, resource) when { context.hourUtc == 10 };';
const decide = (text: string, asked: PolicyQuestion) => engine.decide(policySet(text), asked);

describe('a decision', () => {
  it('names the permit that allowed it, with its reason', () => {
    const verdict = decide(READ, question());
    assert.deepEqual(verdict, {
      allowed: true,
      policyVersion: 1,
      satisfied: [{ id: 'developers-read', effect: 'permit', reason: 'developers may read orders' }],
      forbidden: [],
      nearest: [],
      failed: [],
    });
  });

  it('denies when there is no policy at all', () => {
    assert.equal(decide('', question()).allowed, false);
    assert.deepEqual(decide('', question()).nearest, []);
  });

  const flips: readonly [string, PolicyQuestion, string][] = [
    ['duration', question({ context: { durationSeconds: 3601 } }), 'context.durationSeconds <= 3600 (durationSeconds is 3601)'],
    ['ticket', question({ context: { ticket: 'OPS-1' } }), 'context.ticket like "SHOP-*" (ticket is "OPS-1")'],
    ['day', question({ context: { now: '2026-01-04T10:00:00Z' } }), 'unless { context.weekdayUtc > 5 } (weekdayUtc is 7)'],
    ['group', question({ principal: ines }), 'principal in Group::"developers" (ines is in dba)'],
    ['no group', question({ principal: sam }), 'principal in Group::"developers" (sam is in no group)'],
    [
      'entitlement',
      question({ resource: entitlement('orders-write') }),
      'resource == Entitlement::"orders-read" (this is orders-write in folder shop on orders in folder shop)',
    ],
  ];
  for (const [input, asked, because] of flips) {
    it(`D3 one flipped input flips the verdict and is named: ${input}`, () => {
      const verdict = decide(READ, asked);
      assert.equal(verdict.allowed, false);
      assert.deepEqual(verdict.nearest, [
        { id: 'developers-read', reason: 'developers may read orders', unsatisfied: [because] },
      ]);
    });
  }

  it('says that a missing fact is not known, once', () => {
    const { ticket: _, ...context } = question().context;
    const verdict = decide(READ, { ...question(), context });
    assert.deepEqual(verdict.nearest[0]?.unsatisfied, ['context has ticket (ticket is not known)']);
    assert.deepEqual(verdict.failed, []);
  });

  it('names the outermost missing fact of a nested one', () => {
    const fresh = `@id("fresh") permit(principal, action == Action::"connect", resource)
      when { context has authentication && context.authentication.ageSeconds < 300 };`;
    const verdict = decide(fresh, question({ action: 'connect' }));
    assert.deepEqual(verdict.nearest[0]?.unsatisfied, ['context has authentication (authentication is not known)']);
    const authentication = { method: 'password', ageSeconds: 900, phishingResistant: false };
    const old = decide(fresh, question({ action: 'connect', context: { authentication } }));
    assert.deepEqual(old.nearest[0]?.unsatisfied, ['context.authentication.ageSeconds < 300 (authentication.ageSeconds is 900)']);
  });

  it('puts the nearest permit first and leaves out those for other entitlements', () => {
    const text = `${READ}
      @id("dba") permit(principal in Group::"dba", action, resource) when { context has clientIp };
      @id("elsewhere") permit(principal in Group::"developers", action == Action::"request", resource == Entitlement::"billing");`;
    const verdict = decide(text, question({ context: { durationSeconds: 7200 } }));
    assert.deepEqual(verdict.nearest.map(({ id }) => id), ['developers-read', 'dba']);
  });

  it('a forbid decides against any permit and is named', () => {
    const verdict = decide(READ + FORBID, question());
    assert.equal(verdict.allowed, false);
    assert.deepEqual(verdict.forbidden, [{ id: 'freeze', effect: 'forbid', reason: 'change freeze' }]);
    assert.deepEqual(verdict.nearest, []);
  });

  it('property: a satisfied forbid wins over any number of permits, in any order', () => {
    const anyone = fc.constantFrom(ada, kim, ines, sam, reportBot);
    const permits = fc.array(fc.constantFrom('principal', 'principal is Person', 'principal in Group::"developers"'), { maxLength: 6 });
    fc.assert(
      fc.property(anyone, permits, fc.nat(6), fc.boolean(), (principal, scopes, at, forbid) => {
        const policies = scopes.map((scope, i) => `@id("p${i}") permit(${scope}, action, resource);`);
        if (forbid) policies.splice(Math.min(at, policies.length), 0, '@id("no") forbid(principal, action, resource);');
        const verdict = decide(policies.join('\n'), question({ principal }));
        const fits = (scope: string) =>
          scope === 'principal' ||
          (scope === 'principal is Person' ? principal.kind === 'person' : principal.groups.includes('developers'));
        assert.equal(verdict.allowed, !forbid && scopes.some(fits));
        if (forbid) assert.deepEqual(verdict.forbidden.map(({ id }) => id), ['no']);
      }),
      { numRuns: 60 },
    );
  });

  it('access to several targets must be allowed on every one', () => {
    const sandbox = { name: 'sandbox', type: 'postgres', folder: 'play' };
    const production = { name: 'orders', type: 'postgres', folder: 'shop' };
    const text = '@id("play") permit(principal, action, resource in Folder::"play");';
    const ask = (...targets: (typeof sandbox)[]) => decide(text, question({ resource: entitlement('both', targets, null) })).allowed;
    assert.equal(ask(sandbox), true);
    assert.equal(ask(sandbox, production), false);
    assert.equal(ask(production, sandbox), false);
  });

  it('A07 names are compared as they are: no case, no space, no prefix, no path is forgiven', () => {
    for (const name of ['Orders-read', 'orders-read ', ' orders-read', 'orders-rea', 'orders-read/x', 'orders%2Dread', 'orders-read\u0000']) {
      assert.equal(decide(READ, question({ resource: entitlement(name) })).allowed, false, name);
    }
    assert.equal(decide(READ, question({ principal: { ...ada, groups: ['Developers', 'developers '] } })).allowed, false);
  });

  it('acts on Brevet itself have the System as resource', () => {
    const text = '@id("admins") permit(principal, action == Action::"administer", resource == System::"brevet") when { principal.administrator };';
    const ask = (principal: typeof sam) => engine.decide(policySet(text), question({ action: 'administer', resource: null, principal }));
    assert.equal(ask(sam).allowed, true);
    assert.deepEqual(ask(ada).nearest[0]?.unsatisfied, ['principal.administrator (administrator is false)']);
  });

  it('knows owner, address and instants', () => {
    const text = `@id("bot") permit(principal is Workload, action, resource) when {
      principal has owner && principal.owner == Person::"ada" && context has clientIp && context.clientIp.isInRange(ip("10.0.0.0/8"))
      && context.now < datetime("2027-01-01") && resource.targetTypes.contains("postgres") && Target::"orders" in resource.targets };`;
    const ask = (clientIp: string) => decide(text, question({ principal: reportBot, context: { clientIp } }));
    assert.equal(ask('10.1.2.3').allowed, true);
    assert.equal(ask('::ffff:10.1.2.3').allowed, true);
    assert.equal(ask('192.168.1.1').allowed, false);
  });
});

describe('an explanation', () => {
  it('names the one disjunct of an unless that held', () => {
    const text = '@id("u") permit(principal, action, resource) unless { context.hourUtc < 8 || context.weekdayUtc == 1 || principal.administrator };';
    assert.deepEqual(decide(text, question()).nearest[0]?.unsatisfied, ['unless { context.weekdayUtc == 1 } (weekdayUtc is 1)']);
  });

  it('survives a condition that is too long for Cedar to read back', () => {
    const names = Array.from({ length: 80 }, (_, i) => `resource.name == "e${i}"`).join(' || ');
    const text = `@id("long") permit(principal, action, resource) when { ${names} };`;
    assert.deepEqual(decide(text, question()).nearest[0]?.unsatisfied, ['a condition that is too long to show']);
    assert.equal(decide(text, question({ resource: entitlement('e79') })).allowed, true);
  });
});

describe('it fails closed', () => {
  const all = '@id("all") permit(principal, action, resource);';
  it('when a policy errs, even a forbid beside a permit that holds', () => {
    const text = `${all} @id("erring") forbid(principal, action, resource) when { context.durationSeconds * 9223372036854775807 > 0 };`;
    const verdict = decide(text, question());
    assert.equal(verdict.allowed, false);
    assert.deepEqual(verdict.failed.map(({ id }) => id), ['erring']);
  });

  const odd: readonly [string, Record<string, unknown>][] = [
    ['a fractional duration', { durationSeconds: 1.5 }],
    ['H03 a duration of 1e400', { durationSeconds: Number('1e400') }],
    ['F07 an array for a string', { ticket: ['SHOP-1'] }],
    ['a fact nobody declared', { reason: { toString: 1 } }],
    ['an address that is none', { clientIp: 'localhost' }],
    ['a network for an address', { clientIp: '10.0.0.0/8' }],
    ['an instant that is none', { now: 'soon' }],
    ['a missing duration', { durationSeconds: undefined }],
  ];
  for (const [what, context] of odd) {
    it(`for ${what}`, () => {
      const asked = question({ context: context as object });
      const verdict = decide(all, asked);
      assert.equal(verdict.allowed, false);
      assert.deepEqual(verdict.failed.map(({ id }) => id), [QUESTION]);
    });
  }

  it('E09 a workload can never review or break the glass', () => {
    for (const action of ['review', 'breakGlass'] as const) {
      const verdict = decide(all, question({ action, principal: reportBot, context: { requester: 'kim' } }));
      assert.equal(verdict.allowed, false);
      assert.match(verdict.failed[0]?.message ?? '', /Workload/);
    }
  });

  it('when any policy of the set is unreadable', () => {
    const verdict = decide(`${all} forbid(principal, action, resource) when { oops };`, question());
    assert.equal(verdict.allowed, false);
    assert.equal(verdict.failed[0]?.id, POLICIES);
  });

  it('F07 a policy called __proto__ does not vanish', () => {
    const verdict = decide(`${all} @id("__proto__") forbid(principal, action, resource);`, question());
    assert.equal(verdict.allowed, false);
    const tricky = decide(`${all} @id("constructor") forbid(principal, action, resource);`, question());
    assert.deepEqual(tricky.forbidden.map(({ id }) => id), ['constructor']);
  });

  it('a policy without an id is named by its place', () => {
    assert.equal(decide('\npermit(principal, action, resource);', question()).satisfied[0]?.id, 'test.cedar:2');
  });
});

describe('sets', () => {
  it('A10 a set is judged by its own text, whatever its version number says', () => {
    const other = createPolicyEngine();
    const open = policySet('@id("a") permit(principal, action, resource);', 7);
    const shut = policySet('@id("a") forbid(principal, action, resource);', 7);
    assert.equal(engine.decide(open, question()).allowed, true);
    assert.equal(other.decide(shut, question()).allowed, false);
    assert.equal(engine.decide(shut, question()).allowed, false);
    assert.equal(engine.decide(open, question()).allowed, true);
  });

  it('more sets than there are slots take turns without mixing', () => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12; i++) {
        const set = policySet(`@id("p${i}") permit(principal, action, resource) when { context.durationSeconds == ${1800 + (i % 2)} };`, i);
        const verdict = engine.decide(set, question());
        assert.equal(verdict.allowed, i % 2 === 0);
        assert.equal((verdict.satisfied[0] ?? verdict.nearest[0])?.id, `p${i}`);
      }
    }
  });

  it('text from outside is shown escaped in an explanation', () => {
    const verdict = decide(READ, question({ context: { ticket: '\u001b]52;c;\u202eevil"' } }));
    assert.deepEqual(verdict.nearest[0]?.unsatisfied, [
      'context.ticket like "SHOP-*" (ticket is "\\u{1b}]52;c;\\u{202e}evil\\"")',
    ]);
  });
});
